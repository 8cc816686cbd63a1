"""A report on the quality of the stored data, in numbers of rows."""

from collections import Counter

import msgspec

from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, START, Event
from events.late_writes import WHOLE_HOUR, Cell
from events.models import LateWrite, SessionByCountry, SessionByPlayerId, Table
from events.upkeep.row_checks import Clock
from store.cassandra import Row

WITHOUT_END = "sessions without an end"
WITHOUT_START = "sessions without a start"
ENDED_BEFORE_START = "sessions whose latest end is before their latest start"
AHEAD = "events ahead of this clock"
UNASSIGNED = "starts in {}, which ISO 3166 assigns to no country"
# How late starts came. Rows do not say; for the last day the markers of late writes do.
LATE = "late starts of the last day, {} late (minutes of countries)"
LATENESS = {
    "up to 10 minutes": 10 * MINUTE_MS,
    "up to an hour": HOUR_MS,
    "up to a day": DAY_MS,
    "up to a week": 7 * DAY_MS,
    "more than a week": float("inf"),
}
ASSIGNED = frozenset(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW".split()
)

_decode_cells = msgspec.json.Decoder(list[Cell]).decode


def describe(table: Table, row: Row, events: list[Event], clock: Clock, quality: "Counter[str]") -> None:
    """Count what a row says; ``events`` are those that it stands for."""
    if table is SessionByPlayerId:
        started, ended = row[3:5]
        quality[WITHOUT_END] += ended is None
        quality[WITHOUT_START] += started is None
        quality[ENDED_BEFORE_START] += started is not None and ended is not None and ended < started
        quality[AHEAD] += max(started or 0, ended or 0) > clock.now_ms
    elif table is SessionByCountry:
        for event in events:
            if event.kind == START and event.country not in ASSIGNED:
                quality[UNASSIGNED.format(event.country)] += 1
    elif table is LateWrite:
        _, _, version, cells, *_ = row
        for cell in _decode_cells(cells or "[]"):
            if cell.minute != WHOLE_HOUR:  # of an import, which is late on purpose
                late_ms = version - cell.hour_ms - cell.minute * MINUTE_MS
                name = next(name for name, most_ms in LATENESS.items() if late_ms <= most_ms)
                quality[LATE.format(name)] += 1
