"""Exact numbers of starts for each country and hour, without counters: what is over is counted once and kept.

When a count may be kept and is believed, keeping.py decides; hours that a window cuts are left to minutes.py. A day
that is over keeps all its hours in one static text, so a window of months reads a few rows.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from events import domain
from events.batched import batched
from events.domain import DAY_MS, HOUR_MS, Window
from events.keeping import MINUTES_PER_HOUR, UNTOUCHED, Keeping, as_map
from events.minutes import COUNT_STARTS, PARTITIONS_PER_STATEMENT, count_cut_hours
from sessions_project import cassandra
from sessions_project.cassandra import Statement

HOURS_PER_DAY = 24
# Days read by one statement: a month of settled days takes one.
DAYS_PER_STATEMENT = 32
# Counts are stored after this many statements, so that a request that runs out of time leaves less for the next.
STATEMENTS_PER_ROUND = 32

SELECT_DAYS = """
    SELECT DISTINCT toUnixTimestamp(day), toJson(day_touched), day_counted, day_starts
    FROM {keyspace}.country_hour WHERE day IN ?"""
SELECT_HOURS = """
    SELECT toUnixTimestamp(hour), country, shards, toJson(touched), counted, starts
    FROM {keyspace}.country_hour WHERE day = ? AND hour >= ? AND hour <= ?"""
SELECT_HOURS_OF_COUNTRY = """
    SELECT toUnixTimestamp(hour), country, shards, toJson(touched), counted, starts
    FROM {keyspace}.country_hour WHERE day = ? AND hour IN ? AND country = ?"""
UPDATE_HOUR = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ? SET starts = ?, counted = ?
    WHERE day = ? AND hour = ? AND country = ?"""
UPDATE_DAY = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ? SET day_starts = ?, day_counted = ?
    WHERE day = ?"""


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
    """A whole hour to count. ``counted`` names the touches that the count will have seen; None: it is not kept."""

    country: str
    hour_ms: int
    shards: int
    counted: str | None


@dataclass(slots=True)
class _Day:
    """One day of the window: what its partition says."""

    day_ms: int
    touched: str = UNTOUCHED  # as JSON
    counted: str | None = None
    starts: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the counts of its hours are kept and believed."""
        return self.starts is not None and self.counted == self.touched


def count_starts(*, window: Window, now_ms: int, deadline: float, country: str | None = None) -> StartCounts:
    """The starts of every hour of the window, of all countries or one. Raises StoreUnavailable."""
    counts = StartCounts(window.hours())
    keeping = Keeping(now_ms, deadline)
    cut_hours: dict[int, dict[str, int]] = defaultdict(dict)
    unsettled: list[_Day] = []
    for day in _days(counts.hours, keeping=keeping):
        if day.is_settled and day.day_ms > keeping.gone_ms:
            for hour, its_country, shards in _take_settled(day, counts, window=window, country=country):
                cut_hours[hour][its_country] = shards
        else:
            unsettled.append(day)
    uncounted = list(_take_counted(unsettled, counts, cut_hours, window=window, country=country, keeping=keeping))
    _count(uncounted, counts, window=window, keeping=keeping)
    _count_cut(cut_hours, counts, window=window, keeping=keeping)
    if country is None:
        _keep_days(unsettled, counts, window=window, keeping=keeping)
    keeping.finish()
    return counts


def settle(windows: Iterable[Window], *, now_ms: int, durable: Mapping[str, int]) -> None:
    """Count the starts of these windows as far as the counts can be kept, so that no report has to.

    ``durable`` are the writers, each with the version up to which its touches are known to be durable: they need no
    margin. Raises StoreUnavailable.
    """
    for window in windows:
        counts = StartCounts(window.hours())
        keeping = Keeping(now_ms, cassandra.deadline_from_now(), durable)
        days = [day for day in _days(counts.hours, keeping=keeping) if not day.is_settled]
        uncounted = list(_take_counted(days, counts, defaultdict(dict), window=window, country=None, keeping=keeping))
        # Somebody else has written into these a moment ago.
        in_vain = {domain.day_of(hour.hour_ms) for hour in uncounted if hour.counted is None}
        _count([hour for hour in uncounted if hour.counted], counts, window=window, keeping=keeping)
        _keep_days([day for day in days if day.day_ms not in in_vain], counts, window=window, keeping=keeping)
        keeping.finish()


def _days(hours: range, *, keeping: Keeping) -> Iterator[_Day]:
    """Every day of the window that may have starts. Of one that is not over nothing is kept to read."""
    days = range(domain.day_of(hours[0]), hours[-1] + 1, DAY_MS)
    over = [day for day in days if keeping.allows(day + DAY_MS)]
    queries = [(SELECT_DAYS, (some,)) for some in batched(over, DAYS_PER_STATEMENT)]
    for rows in cassandra.execute_many(queries, deadline=keeping.deadline):
        yield from (_Day(day, as_map(touched), *kept) for day, touched, *kept in rows)
    yield from (_Day(day) for day in days[len(over) :])


def _take_settled(
    day: _Day, counts: StartCounts, *, window: Window, country: str | None
) -> Iterator[tuple[int, str, int]]:
    """Note the hours of a day whose counts are kept; gives those that the window cuts, with country and shards."""
    hours = range(day.day_ms, day.day_ms + DAY_MS, HOUR_MS)
    for its_country, (shards, *starts) in msgspec.json.decode(day.starts or "{}").items():
        if country is None or country == its_country:
            counts.add(its_country, day.day_ms, starts, shards)
            for edge in {domain.hour_of(window.from_ms), domain.hour_of(window.to_ms)}:
                if edge in hours and starts[(edge - day.day_ms) // HOUR_MS] and not window.covers_hour(edge):
                    yield edge, its_country, shards


def _hours_query(day_ms: int, hours: range, country: str | None) -> Statement:
    first, last = max(day_ms, hours[0]), min(day_ms + DAY_MS - HOUR_MS, hours[-1])
    if country is None:
        return SELECT_HOURS, (day_ms, first, last)
    return SELECT_HOURS_OF_COUNTRY, (day_ms, range(first, last + 1, HOUR_MS), country)


def _take_counted(
    days: Iterable[_Day],
    counts: StartCounts,
    cut_hours: Mapping[int, dict[str, int]],
    *,
    window: Window,
    country: str | None,
    keeping: Keeping,
) -> Iterator[_Uncounted]:
    """Note what is kept of each hour, and which hours are cut; the hours that are to be counted whole."""
    queries = [_hours_query(day.day_ms, counts.hours, country) for day in days]
    for rows in cassandra.execute_many(queries, deadline=keeping.deadline):
        for hour, its_country, shards, told, counted, starts in rows:
            if shards is None:
                continue
            touched = as_map(told)
            over = keeping.minutes_over(hour) == MINUTES_PER_HOUR
            if not over or not window.covers_hour(hour) or hour <= keeping.gone_ms:
                cut_hours[hour][its_country] = shards
            elif counted == touched and starts is not None:
                counts.add(its_country, hour, [starts], shards)
            else:
                kept = touched if keeping.allows(hour + HOUR_MS, touched, counted=counted) else None
                yield _Uncounted(its_country, hour, shards, kept)


def _count_cut(
    cut_hours: Mapping[int, Mapping[str, int]], counts: StartCounts, *, window: Window, keeping: Keeping
) -> None:
    """Count what the window leaves of hours, by the minute, and note it."""
    starts = count_cut_hours(cut_hours, window=window, keeping=keeping)
    for hour, shards_of in cut_hours.items():
        for country, shards in shards_of.items():
            counts.add(country, hour, [starts[country, hour]], shards)


def _count(uncounted: Sequence[_Uncounted], counts: StartCounts, *, window: Window, keeping: Keeping) -> None:
    """Count, note, and keep what may be kept."""
    for some in batched(list(_groups(uncounted)), STATEMENTS_PER_ROUND):
        starts: dict[tuple[str, int], int] = defaultdict(int)
        queries = [_count_query(group, window) for group in some]
        for rows in cassandra.execute_many(queries, deadline=keeping.deadline, counting=True):
            for country, hour, number in rows:
                starts[country, hour] += number
        for member in chain.from_iterable(some):
            number = starts[member.country, member.hour_ms]
            counts.add(member.country, member.hour_ms, [number], member.shards)
            if member.counted:
                key = (domain.day_of(member.hour_ms), member.hour_ms, member.country)
                keeping.keep(UPDATE_HOUR, (number, member.counted), key=key, until_ms=member.hour_ms + HOUR_MS)
        keeping.send()


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
        yield from batched(grid, size)


def _count_query(group: Sequence[_Uncounted], window: Window) -> Statement:
    countries = {member.country for member in group}
    hours = {member.hour_ms for member in group}
    shards = range(max(member.shards for member in group))
    return COUNT_STARTS, (countries, hours, shards, window.from_ms, window.to_ms)


def _keep_days(days: Iterable[_Day], counts: StartCounts, *, window: Window, keeping: Keeping) -> None:
    """Keep the days that are wholly inside the window, each as ``{country: [shards, starts of hour 0, ...]}``."""
    for day in days:
        last = day.day_ms + DAY_MS - HOUR_MS
        if not (window.covers_hour(day.day_ms) and window.covers_hour(last) and day.day_ms > keeping.gone_ms):
            continue
        if not keeping.allows(day.day_ms + DAY_MS, day.touched, counted=day.counted):
            continue
        first = (day.day_ms - counts.hours.start) // HOUR_MS
        starts = {
            country: [counts.shards[country], *of_hours]
            for country, row in counts.starts.items()
            if any(of_hours := row[first : first + HOURS_PER_DAY])
        }
        values = (json.dumps(starts), day.touched)
        keeping.keep(UPDATE_DAY, values, key=(day.day_ms,), until_ms=day.day_ms + DAY_MS)
    keeping.send()
