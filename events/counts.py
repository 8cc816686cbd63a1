"""Exact numbers of starts for each country and hour, without counters: what is over is counted once and kept.

Every write into an hour that is over leaves its writer's name and a rising version in the ``touched`` map of the hour
and of its day, in the same batch. A count remembers the map as it stood before counting, and is believed as long as the
map is the same: any later write changes it, whatever the clocks say. What clocks decide is only when a count may be
kept: MARGIN_MS after the hour's end and after the last touch, when no write that it could have missed is under way.

A day that is over keeps all its hours in one static text, so a window of months reads a few rows.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from events import domain
from events.domain import DAY_MS, HOUR_MS, Window
from sessions_project import cassandra
from sessions_project.cassandra import Statement, StoreUnavailable

log = logging.getLogger(__name__)

# 60 s between the fastest and the slowest clock, and 30 s for writes that are under way.
MARGIN_MS = 90 * domain.SECOND_MS
HOURS_PER_DAY = 24
# Days read by one statement: a month of settled days takes one.
DAYS_PER_STATEMENT = 32
# Partitions of one counting statement: measured ten times faster than one statement each, flat from 72 on.
PARTITIONS_PER_STATEMENT = 72
# Counts are stored after this many statements, so that a request that runs out of time leaves less for the next.
STATEMENTS_PER_ROUND = 32
ROWS_PER_BATCH = 100

SELECT_DAYS = """
    SELECT DISTINCT toUnixTimestamp(day), day_touched, day_counted, day_starts
    FROM {keyspace}.country_hour WHERE day IN ?"""
SELECT_HOURS = """
    SELECT toUnixTimestamp(hour), country, shards, touched, counted, starts
    FROM {keyspace}.country_hour WHERE day = ? AND hour >= ? AND hour <= ?"""
SELECT_HOURS_OF_COUNTRY = """
    SELECT toUnixTimestamp(hour), country, shards, touched, counted, starts
    FROM {keyspace}.country_hour WHERE day = ? AND hour IN ? AND country = ?"""
COUNT_STARTS = """
    SELECT country, toUnixTimestamp(hour), COUNT(*) FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? AND ts > ? AND ts <= ?
    GROUP BY country, hour, shard"""
UPDATE_HOUR = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ? SET starts = ?, counted = ?
    WHERE day = ? AND hour = ? AND country = ?"""
UPDATE_DAY = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ? SET day_starts = ?, day_counted = ?
    WHERE day = ?"""

# The version of each writer's last touch.
Touched = Mapping[str, int] | None


@dataclass(slots=True)
class StartCounts:
    """The starts in a window: for each country a number for each of ``hours``, and over how many shards they lie."""

    hours: range
    starts: dict[str, list[int]] = field(default_factory=dict)
    shards: dict[str, int] = field(default_factory=dict)

    def of_hours(self) -> list[int]:
        """Of all countries together, for each hour."""
        return [sum(of_countries) for of_countries in zip(*self.starts.values(), strict=True)] or [0] * len(self.hours)

    def newest_hours(self, country: str, *, number: int, until_ms: int) -> Iterator[int]:
        """The hours with starts, from the one of ``until_ms`` back, until they hold ``number`` starts."""
        held = 0
        starts = self.starts.get(country, [])
        for index in range(min(len(starts), (until_ms - self.hours.start) // HOUR_MS + 1) - 1, -1, -1):
            if held >= number:
                return
            if starts[index]:
                held += starts[index]
                yield self.hours[index]

    def add(self, country: str, hour_ms: int, starts: Sequence[int], shards: int) -> None:
        """Note consecutive hours of a country; those outside of ``hours`` are left out."""
        row = self.starts.setdefault(country, [0] * len(self.hours))
        self.shards[country] = max(shards, self.shards.get(country, 1))
        first = (hour_ms - self.hours.start) // HOUR_MS
        left, right = max(first, 0), min(first + len(starts), len(row))
        row[left:right] = starts[left - first : right - first]


@dataclass(frozen=True, slots=True)
class _Uncounted:
    """An hour to count. ``counted`` names the touches that the count will have seen; None: it is not to be kept."""

    country: str
    hour_ms: int
    shards: int
    counted: str | None


@dataclass(slots=True)
class _Day:
    """One day of the window: what its partition says."""

    day_ms: int
    touched: Touched = None
    counted: str | None = None
    starts: str | None = None


def count_starts(
    *, window: Window, now_ms: int, deadline: float, country: str | None = None, own_writers: Collection[str] = ()
) -> StartCounts:
    """The starts of every hour of the window, of all countries or one. Raises StoreUnavailable.

    Touches of ``own_writers``, whose writes the caller knows to be durable, need no margin.
    """
    counts = StartCounts(window.hours())
    oldest_ms = now_ms - settings.RETENTION_SECONDS * domain.SECOND_MS
    keeping = _Keeping(now_ms, oldest_ms, own_writers)
    uncounted: list[_Uncounted] = []
    unsettled: list[_Day] = []
    for day in _days(counts.hours, deadline=deadline):
        if day.starts and day.counted == _fingerprint(day.touched) and day.day_ms > oldest_ms:
            uncounted += _take_settled(day, counts, window=window, country=country)
        else:
            unsettled.append(day)
    queries = [_hours_query(day.day_ms, counts.hours, country) for day in unsettled]
    for rows in cassandra.execute_many(queries, deadline=deadline):
        for hour, its_country, shards, touched, counted, starts in rows:
            if shards is None:
                continue
            fingerprint = _fingerprint(touched)
            if not window.covers_hour(hour) or hour <= oldest_ms:
                uncounted.append(_Uncounted(its_country, hour, shards, None))
            elif counted == fingerprint and starts is not None:
                counts.add(its_country, hour, [starts], shards)
            else:
                kept = fingerprint if keeping.allows(hour + HOUR_MS, touched) else None
                uncounted.append(_Uncounted(its_country, hour, shards, kept))
    _count(uncounted, counts, window=window, now_ms=now_ms, deadline=deadline)
    if country is None:
        _store_days(
            [day for day in unsettled if keeping.allows(day.day_ms + DAY_MS, day.touched)], counts, window, keeping
        )
    return counts


def settle_days(days: Iterable[int], *, now_ms: int, own_writers: Collection[str]) -> None:
    """Count the days that begin at these milliseconds, so that no report has to. Raises StoreUnavailable.

    ``own_writers`` are those whose every write is known to be durable.
    """
    for day_ms in days:
        window = Window(day_ms - 1, day_ms + DAY_MS - 1)
        deadline = cassandra.deadline_from_now()
        count_starts(window=window, now_ms=now_ms, deadline=deadline, own_writers=own_writers)


@dataclass(frozen=True, slots=True)
class _Keeping:
    """Decides whether a count may be stored."""

    now_ms: int
    oldest_ms: int
    own_writers: Collection[str]

    def allows(self, over_at_ms: int, touched: Touched) -> bool:
        """Whether no write that a count begun now would miss can be under way."""
        touches = (version for writer, version in (touched or {}).items() if writer not in self.own_writers)
        return self.now_ms > max(over_at_ms, max(touches, default=0)) + MARGIN_MS


def _fingerprint(touched: Touched) -> str:
    """The same for equal maps only."""
    if not touched:
        return "untouched"
    return hashlib.sha256(json.dumps(sorted(touched.items())).encode()).hexdigest()[:32]


def _days(hours: range, *, deadline: float) -> Iterator[_Day]:
    """Every day of the window that has a partition, oldest first."""
    days = range(domain.day_of(hours[0]), hours[-1] + 1, DAY_MS)
    queries = [
        (SELECT_DAYS, (days[first : first + DAYS_PER_STATEMENT],)) for first in range(0, len(days), DAYS_PER_STATEMENT)
    ]
    for rows in cassandra.execute_many(queries, deadline=deadline):
        for row in sorted(rows, key=lambda row: row[0]):
            yield _Day(*row)


def _take_settled(day: _Day, counts: StartCounts, *, window: Window, country: str | None) -> Iterator[_Uncounted]:
    """Note the hours of a day whose counts are kept; what the window's edges cut is left to be counted."""
    hours = range(day.day_ms, day.day_ms + DAY_MS, HOUR_MS)
    for its_country, (shards, *starts) in json.loads(day.starts or "{}").items():
        if country is None or country == its_country:
            counts.add(its_country, day.day_ms, starts, shards)
            for edge in {domain.hour_of(window.from_ms), domain.hour_of(window.to_ms)}:
                if edge in hours and starts[(edge - day.day_ms) // HOUR_MS] and not window.covers_hour(edge):
                    yield _Uncounted(its_country, edge, shards, None)


def _hours_query(day_ms: int, hours: range, country: str | None) -> Statement:
    first, last = max(day_ms, hours[0]), min(day_ms + DAY_MS - HOUR_MS, hours[-1])
    if country is None:
        return SELECT_HOURS, (day_ms, first, last)
    return SELECT_HOURS_OF_COUNTRY, (day_ms, range(first, last + 1, HOUR_MS), country)


def _count(
    uncounted: Sequence[_Uncounted], counts: StartCounts, *, window: Window, now_ms: int, deadline: float
) -> None:
    """Count, note, and store what may be kept."""
    groups = list(_groups(uncounted))
    for first in range(0, len(groups), STATEMENTS_PER_ROUND):
        some = groups[first : first + STATEMENTS_PER_ROUND]
        starts: dict[tuple[str, int], int] = defaultdict(int)
        for rows in cassandra.execute_many((_count_query(group, window) for group in some), deadline=deadline):
            for country, hour, number in rows:
                starts[country, hour] += number
        members = [member for group in some for member in group]
        for member in members:
            counts.add(member.country, member.hour_ms, [starts[member.country, member.hour_ms]], member.shards)
        _store(
            (UPDATE_HOUR, (now_ms * 1000, ttl, starts[member.country, hour], member.counted, day, hour, member.country))
            for member in members
            for hour, day in ((member.hour_ms, domain.day_of(member.hour_ms)),)
            if member.counted and (ttl := _ttl_seconds(hour + HOUR_MS, now_ms)) > 0
        )


def _groups(uncounted: Sequence[_Uncounted]) -> Iterator[Sequence[_Uncounted]]:
    """The hours to count, in grids of one country or one hour each, whichever makes fewer."""
    by_country: dict[str, list[_Uncounted]] = defaultdict(list)
    by_hour: dict[int, list[_Uncounted]] = defaultdict(list)
    for member in uncounted:
        by_country[member.country].append(member)
        by_hour[member.hour_ms].append(member)
    grids = by_country.values() if len(by_country) < len(by_hour) else by_hour.values()
    for grid in grids:
        size = max(1, PARTITIONS_PER_STATEMENT // max(member.shards for member in grid))
        for first in range(0, len(grid), size):
            yield grid[first : first + size]


def _count_query(group: Sequence[_Uncounted], window: Window) -> Statement:
    countries = {member.country for member in group}
    hours = {member.hour_ms for member in group}
    shards = range(max(member.shards for member in group))
    return COUNT_STARTS, (countries, hours, shards, window.from_ms, window.to_ms)


def _store_days(days: Iterable[_Day], counts: StartCounts, window: Window, keeping: _Keeping) -> None:
    """Keep the days that are wholly inside the window, each as ``{country: [shards, starts of hour 0, ...]}``."""
    whole = [
        day
        for day in days
        if window.covers_hour(day.day_ms)
        and window.covers_hour(day.day_ms + DAY_MS - HOUR_MS)
        and day.day_ms > keeping.oldest_ms
    ]
    rows: list[Statement] = []
    for day in whole:
        first = (day.day_ms - counts.hours.start) // HOUR_MS
        starts = {
            country: [counts.shards[country], *of_hours]
            for country, row in counts.starts.items()
            if any(of_hours := row[first : first + HOURS_PER_DAY])
        }
        when = (keeping.now_ms * 1000, _ttl_seconds(day.day_ms + DAY_MS, keeping.now_ms))
        rows.append((UPDATE_DAY, (*when, json.dumps(starts), _fingerprint(day.touched), day.day_ms)))
    _store(rows)


def _store(rows: Iterable[Statement]) -> None:
    """Keep counts for the next reader; one that could not be stored is taken again."""
    statements = list(rows)
    try:
        writes = [
            cassandra.send_batch(statements[first : first + ROWS_PER_BATCH], logged=False)
            for first in range(0, len(statements), ROWS_PER_BATCH)
        ]
        for write in writes:
            write.wait()
    except StoreUnavailable as error:
        log.info("Counts were not stored: %s", error)


def _ttl_seconds(until_ms: int, now_ms: int) -> int:
    return domain.remaining_seconds(ts_ms=until_ms, now_ms=now_ms, retention_seconds=settings.RETENTION_SECONDS)
