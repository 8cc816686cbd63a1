"""What an event is, how long it lives, in which hour and shard it falls; windows. No Django, no driver, no clock.

Moments are whole milliseconds since 1970 in UTC (``ts_ms``, ``now_ms``), as Cassandra stores them.
"""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

START: Literal["start"] = "start"
END: Literal["end"] = "end"
Kind = Literal["start", "end"]

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# What game servers need to send an event, with a retry or two. With less, more of them are late; with more, a report of
# the present hour has more to count.
PROMPT_MS = 2 * MINUTE_MS
# Counts are exact as long as no two clocks differ by more than this,
CLOCKS_APART_MS = 60 * SECOND_MS
# and no write takes longer than this from its reading of the clock until it is durable.
IN_FLIGHT_MS = 30 * SECOND_MS

PLAYER_ID = re.compile(r"\A[A-Za-z0-9_.:@-]{1,64}\Z")
COUNTRY = re.compile(r"\A[A-Za-z]{2}\Z")
SESSION_ID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}\Z")
# ISO 8601's calendar form, the one that every language writes; week dates and the like are not for timestamps. Hours to
# 23 and seconds to 59: what Python makes of 24:00 depends on its version.
_HOUR, _SIXTIETH = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
_TIME = rf"{_HOUR}:{_SIXTIETH}(?::{_SIXTIETH}(?:[.,]\d{{1,9}})?)?"
_OFFSET = rf"(?:[Zz]|[+-]{_HOUR}(?::?{_SIXTIETH})?)"
TIMESTAMP = re.compile(rf"\d{{4}}-\d\d-\d\d[Tt ]{_TIME}{_OFFSET}?\Z", flags=re.ASCII)
# Clients that have no session id send this one: as an id it would make one session of all of theirs.
NIL_SESSION_ID = uuid.UUID(int=0)
# A report reads every shard of an hour: more would cost it more than a smaller partition saves.
MOST_SHARDS = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = datetime(1970, 1, 1)  # noqa: DTZ001  # for times without offset, which are UTC
_MILLISECOND = timedelta(milliseconds=1)

# The number of shards of "every country" ("") and of some, each from a moment on, newest first.
ShardSetting = Mapping[str, Sequence[tuple[float, int]]]
ALWAYS = -math.inf

# The beginning of the year 1 in UTC, with which Python's datetime begins.
EARLIEST_MS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
# The end of 9999, with which it ends.
LATEST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


class Event(NamedTuple):
    """A session started or ended. ``country`` is upper-case, and never None on a start."""

    kind: Kind
    player_id: str
    session_id: uuid.UUID
    ts_ms: int
    country: str | None


@dataclass(frozen=True, slots=True)
class Window:
    """The moments after ``from_ms`` up to and including ``to_ms``.

    >>> hour = parse_timestamp("2026-11-30T06:00")
    >>> window = Window(hour - 1, hour + HOUR_MS - 1)
    >>> window.covers_hour(hour), window.covers_hour(hour + HOUR_MS)
    (True, False)
    >>> Window(hour, hour + HOUR_MS - 1).covers_hour(hour)  # its first millisecond is outside
    False
    """

    from_ms: int
    to_ms: int

    def hours(self) -> range:
        """Return the hours from that of ``from_ms`` to that of ``to_ms``, each by its first millisecond."""
        return range(hour_of(self.from_ms), self.to_ms + 1, HOUR_MS)

    def covers_hour(self, hour_ms: int) -> bool:
        """Return whether every moment of the hour is inside."""
        return self.from_ms < hour_ms and hour_ms + HOUR_MS - 1 <= self.to_ms


def is_late(ts_ms: int, *, now_ms: int) -> bool:
    """Return whether a start that happened at ``ts_ms`` and is written now may have been counted without.

    >>> six = parse_timestamp("2026-11-30T06:00")
    >>> is_late(six, now_ms=six + MINUTE_MS), is_late(six, now_ms=six + PROMPT_MS)
    (False, True)
    >>> is_late(six - 1, now_ms=six)  # its hour is over
    True
    """
    return ts_ms + PROMPT_MS <= now_ms or hour_of(ts_ms) + HOUR_MS <= now_ms


def hour_of(ts_ms: int) -> int:
    """Return the beginning of the hour that ``ts_ms`` falls in.

    >>> format_timestamp(hour_of(parse_timestamp("2026-11-30T06:59:59.999")))
    '2026-11-30T06:00:00.000Z'
    """
    return ts_ms - ts_ms % HOUR_MS


def day_of(ts_ms: int) -> int:
    """Return the beginning of the UTC day that ``ts_ms`` falls in."""
    return ts_ms - ts_ms % DAY_MS


def remaining_seconds(ts_ms: int, *, retention_cutoff_ms: int) -> int:
    """Return the whole seconds until what happened at ``ts_ms`` is older than the retention; 0 or less: it is too old.

    What happened at ``retention_cutoff_ms`` or before is older now. Rounded down, so that nothing outlives the
    retention, and 0, which Cassandra reads as "for ever", is never a TTL.
    """
    return (ts_ms - retention_cutoff_ms) // SECOND_MS


def parse_timestamp(text: str) -> int:
    """Return the milliseconds of an ISO 8601 date and time; without an offset it is UTC, finer fractions are cut off.

    Raises ValueError when it is none. In UTC it may be some hours before the year 1 or after 9999.

    >>> parse_timestamp("2016-12-02T12:48:05.520123Z")
    1480682885520
    >>> parse_timestamp("2016-12-02T14:48:05.520+02:00") == parse_timestamp("2016-12-02 12:48:05.520")
    True
    """
    if not TIMESTAMP.match(text):
        raise ValueError("not an ISO 8601 date and time")
    moment = datetime.fromisoformat(text.upper() if text[-1] == "z" else text)
    return (moment - (_EPOCH_WITHOUT_ZONE if moment.tzinfo is None else _EPOCH)) // _MILLISECOND


def parse_session_id(text: str) -> uuid.UUID:
    """Return the UUID of 32 hexadecimal digits with or without the four dashes. Raises ValueError.

    >>> parse_session_id("674606B1268245ADABDC8048BC2A4A87")
    UUID('674606b1-2682-45ad-abdc-8048bc2a4a87')
    """
    if not SESSION_ID.match(text):
        raise ValueError("not a UUID")
    return uuid.UUID(text)


def format_timestamp(ts_ms: int) -> str:
    """Return ISO 8601 in UTC with milliseconds.

    >>> format_timestamp(1_480_682_885_520)
    '2016-12-02T12:48:05.520Z'
    """
    return (_EPOCH_WITHOUT_ZONE + ts_ms * _MILLISECOND).isoformat(timespec="milliseconds") + "Z"


def shard_of(session_id: uuid.UUID, shards: int) -> int:
    """Return in which of the ``shards`` partitions of its country and hour a session lies: a retry meets its own row.

    >>> shard_of(uuid.UUID(int=6), 4)
    2
    """
    return session_id.int % shards


def parse_shards(text: str) -> ShardSetting:
    """Return what COUNTRY_SHARDS says: a number, and others for some countries, or from some hour (UTC) on.

    Raises ValueError.

    >>> december = parse_timestamp("2026-12-01T00:00")
    >>> setting = parse_shards("1,US=4,US=8@2026-12-01T00:00")
    >>> [shards_at(setting, *what) for what in (("FI", december), ("US", december - HOUR_MS), ("US", december))]
    [1, 4, 8]
    """
    shards: dict[str, dict[float, int]] = {"": {ALWAYS: 1}}
    for item in filter(None, (part.strip() for part in text.split(","))):
        what, at, since = item.partition("@")
        country, equals, number = what.rpartition("=")
        if equals and not COUNTRY.match(country):
            raise ValueError(f"{country!r} is not a country of two letters")
        if not number.isdecimal() or not 1 <= int(number) <= MOST_SHARDS:
            raise ValueError(f"{number!r} is not a number from 1 to {MOST_SHARDS}")
        since_ms = parse_timestamp(since) if at else ALWAYS
        if at and since_ms != hour_of(int(since_ms)):
            raise ValueError(f"{since!r} is not the beginning of an hour")
        shards.setdefault(country.upper(), {})[since_ms] = int(number)
    return {country: sorted(since.items(), reverse=True) for country, since in shards.items()}


def shards_at(shards: ShardSetting, country: str, hour_ms: int) -> int:
    """Return over how many partitions the starts of a country are spread in an hour."""
    every = (*shards.get(country, ()), *shards[""])
    return next(number for since_ms, number in every if since_ms <= hour_ms)
