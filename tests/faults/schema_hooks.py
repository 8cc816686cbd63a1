"""For Schemathesis: leaves out what no schema can say, so that every other valid request must be accepted."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from zoneinfo import available_timezones

import schemathesis

# Others are refused; a schema cannot name them all.
ZONES = available_timezones()
SHORT = {str(hours) for hours in range(1, 25)}
# As reports/serializers.py has it, which needs Django: the hours of an interval, and the numbers of one timeline.
HOURS_OF = {"minute": 1 / 60, "hour": 1, "day": 24, "week": 168}
MOST_NUMBERS = 200_000
TEMPLATES = {"{country}", "{player_id}"}
NOBODY = {"null", "nil", "none", "undefined", "unknown", "anonymous", "guest", "nan", "-1"}


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out what is refused, and rightly: a forged cursor, no time zone, a moment in the future, gzip that is none.

    So are the places in the addresses that the API lists, which Schemathesis takes for values, and, where a player is
    to be erased, ids that stand for nobody.
    """
    in_path = [unquote(str(value)) for value in (case.path_parameters or {}).values()]
    if any(value in TEMPLATES or (case.method == "DELETE" and _is_nobody(value)) for value in in_path):
        return False
    query: dict[str, Any] = dict(case.query or {})
    forged = bool(query.get("cursor")) or query.get("tz", "UTC") not in ZONES
    # Minutes are told of up to a day.
    forged = forged or (query.get("interval") == "minute" and str(query.get("hours", "24")) not in SHORT)
    forged = forged or _numbers(query) > MOST_NUMBERS
    gzip = "gzip" in str(dict(case.headers or {}).get("Content-Encoding", ""))
    events = case.body if isinstance(case.body, list) else [case.body]
    moments = [query.get("as_of"), *(event.get("ts") for event in events if isinstance(event, dict))]
    return not (forged or gzip or any(_in_the_future(moment) for moment in moments))


def _numbers(query: dict[str, Any]) -> float:
    """How many numbers of countries a timeline would have; none where that is no question."""
    try:
        return int(query.get("hours", 24)) / HOURS_OF[query.get("interval", "hour")] * int(query.get("countries", 0))
    except (TypeError, ValueError, KeyError):
        return 0


def _is_nobody(player_id: str) -> bool:
    """As events/upkeep/erasing.py has it, which needs Django."""
    return player_id.lower() in NOBODY or set(player_id) <= {"0", "-"}


def _in_the_future(moment: Any) -> bool:
    try:
        return datetime.fromisoformat(moment) > datetime.now(UTC)
    except (TypeError, ValueError):
        return False
