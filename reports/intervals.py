"""Into which parts a timeline is cut, and with which earlier ones they are compared. Days and weeks are of a zone.

Every part begins with a whole minute: no zone of today has an offset with seconds.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from events.domain import DAY_MS, EARLIEST_MS, HOUR_MS, MINUTE_MS

MINUTE: Literal["minute"] = "minute"
HOUR: Literal["hour"] = "hour"
DAY: Literal["day"] = "day"
WEEK: Literal["week"] = "week"
Interval = Literal["minute", "hour", "day", "week"]
OF_CALENDAR = (DAY, WEEK)
# 1,440 points. Minutes are counted from the starts once, and an hour of them costs as much as a day of hours.
MOST_HOURS_BY_MINUTE = 24

PREVIOUS: Literal["previous"] = "previous"
Compare = Literal["previous", "week"]
DAYS_OF_A_WEEK = 7
# Nothing is stored from before; zones have odd offsets there, or none that Python can tell.
CALENDAR_BEGINS_MS = 30 * DAY_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@cache
def zone_names() -> frozenset[str]:
    """Return the names of the IANA time zones that this machine knows."""
    return frozenset(available_timezones())


def part_begins(interval: Interval, *, from_ms: int, to_ms: int, zone: str) -> list[int]:
    """Return where the parts begin that have moments from ``from_ms`` to ``to_ms``, and where the last one ends.

    >>> from events.domain import format_timestamp, parse_timestamp
    >>> window = {"from_ms": parse_timestamp("2026-10-24T12:00"), "to_ms": parse_timestamp("2026-10-25T12:00")}
    >>> [format_timestamp(begin)[:16] for begin in part_begins("day", zone="Europe/Helsinki", **window)]
    ['2026-10-23T21:00', '2026-10-24T21:00', '2026-10-25T22:00']
    """
    if interval in OF_CALENDAR:
        days = 1 if interval == DAY else DAYS_OF_A_WEEK
        return _calendar(days, from_ms=from_ms, to_ms=to_ms, zone=_zone(zone, from_ms))
    step = MINUTE_MS if interval == MINUTE else HOUR_MS
    return list(range(from_ms - from_ms % step, to_ms + step + 1 - to_ms % step, step))


def earlier(moments: Sequence[int], *, interval: Interval, hours: int, compare: Compare, zone: str) -> list[int]:
    """Return the moments that these are compared with: a week before, or the window's ``hours``.

    Whole days are those of the calendar where the parts are, also when a clock was changed meanwhile.
    """
    days, rest = (DAYS_OF_A_WEEK, 0) if compare == WEEK else divmod(hours, 24)
    if interval in OF_CALENDAR and not rest:
        return [_days_before(moment, days, _zone(zone, moments[0] - (days + 1) * DAY_MS)) for moment in moments]
    return [max(moment - days * DAY_MS - rest * HOUR_MS, EARLIEST_MS) for moment in moments]


def _zone(name: str, from_ms: int) -> tzinfo:
    return ZoneInfo(name) if from_ms >= CALENDAR_BEGINS_MS else UTC


def _calendar(days: int, *, from_ms: int, to_ms: int, zone: tzinfo) -> list[int]:
    first = _local(from_ms, zone).date()
    if days == DAYS_OF_A_WEEK:
        first -= timedelta(days=first.weekday())  # the year 1 begins with a Monday
    begins = [_begin_of(first, zone)]
    while begins[-1] <= to_ms:
        first += timedelta(days=days)
        begins.append(_begin_of(first, zone))
    return begins


def _begin_of(day: date, zone: tzinfo) -> int:
    """Return the first moment of a day; where clocks skip midnight, that is when they do."""
    return (datetime.combine(day, time(), zone) - _EPOCH) // _MILLISECOND


def _days_before(moment: int, days: int, zone: tzinfo) -> int:
    if moment - days * DAY_MS < EARLIEST_MS:
        return EARLIEST_MS
    before = _local(moment, zone).replace(tzinfo=None) - timedelta(days=days)
    return (before.replace(tzinfo=zone) - _EPOCH) // _MILLISECOND


def _local(moment: int, zone: tzinfo) -> datetime:
    return (_EPOCH + moment * _MILLISECOND).astimezone(zone)
