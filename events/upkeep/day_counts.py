"""A day's hour index entries beside its starts, and the counts that reports show beside the rows that there are.

Starts may come while both are read. So where a report's number is not that of the rows before it, these are counted
again: the number is wrong when it is neither of the two nor between them.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from string import ascii_uppercase
from typing import NamedTuple
from zlib import compress, decompress

from events import domain
from events.clock import retention_cutoff_ms, ttl_seconds, wall_clock_ms
from events.counting.hours import (
    COUNTS_AT_A_TIME,
    MOST_SECONDS,
    SELECT_INDEX,
    bring_up_to_date,
    count_hours,
    count_starts,
)
from events.counting.minutes import HourOfCountry, Shards, count_minutes
from events.counting.stored import Store
from events.counting.validity import MARGIN_MS
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, Window
from events.late_writes import MICROSECONDS, WHOLE_HOUR, Cell
from events.rows import INSERT_INDEX_ENTRY
from events.upkeep.writing import execute, execute_and_recount
from store import cassandra
from store.cassandra import Row, Statement

WITHOUT_INDEX_ENTRY = "hour of a country without its row in country_hour"
WRONG_COUNT = "hour whose stored count differs from its rows"
WRONG_MINUTES = "hour whose stored minutes differ from its rows"

DAYS_PER_PAGE = 1_000

SELECT_WRITTEN = """
    SELECT WRITETIME(shards) FROM {keyspace}.country_hour WHERE day = ? AND hour = ? AND country = ?"""
DELETE_MINUTES = """
    DELETE minutes FROM {keyspace}.start_count USING TIMESTAMP ? WHERE day = ? AND hour = ? AND country = ?"""

COUNTRIES = {"".join(letters): number for number, letters in enumerate(product(ascii_uppercase, repeat=2))}


class Found(NamedTuple):
    """What is wrong with an hour of a country."""

    kind: str
    country: str
    hour_ms: int


class SeenShards:
    """In how many shards each country has starts, for every hour from the retention's first to the present one.

    A byte for each hour and each of 676 countries: 6 MB for a year. Raises ValueError when ``packed`` has other hours.
    """

    def __init__(self, now_ms: int, packed: bytes = b"") -> None:
        self._first_hour_ms = domain.hour_of(retention_cutoff_ms(now_ms))
        self._hours = (now_ms - self._first_hour_ms) // HOUR_MS + 2
        self._seen = bytearray(decompress(packed)) if packed else bytearray(len(COUNTRIES) * self._hours)
        if len(self._seen) != len(COUNTRIES) * self._hours:
            raise ValueError("of another retention")

    def packed(self) -> bytes:
        """Return it for a checkpoint."""
        return compress(self._seen, 1)

    def add(self, country: str, hour_ms: int, shard: int) -> None:
        """Note a start in a shard."""
        hour = (hour_ms - self._first_hour_ms) // HOUR_MS
        if 0 <= hour < self._hours:
            place = hour * len(COUNTRIES) + COUNTRIES[country]
            self._seen[place] = max(self._seen[place], shard + 1)

    def of_day(self, day_ms: int) -> dict[HourOfCountry, int]:
        """Return over how many shards at least the starts of each country and hour of a day lie."""
        first = (day_ms - self._first_hour_ms) // HOUR_MS
        return {
            (country, self._first_hour_ms + hour * HOUR_MS): shards
            for hour in range(max(first, 0), min(first + DAY_MS // HOUR_MS, self._hours))
            if any(of_hour := self._seen[hour * len(COUNTRIES) : (hour + 1) * len(COUNTRIES)])
            for country, shards in zip(COUNTRIES, of_hour, strict=True)
            if shards
        }


def days_kept(now_ms: int) -> range:
    """Return the days that reports may show, oldest first."""
    return range(domain.day_of(retention_cutoff_ms(now_ms)), now_ms + 1, DAY_MS)


def days_with_counts() -> set[int]:
    """Return the days of which anything is indexed or counted. Raises StoreError."""
    days: set[int] = set()
    for table in ("country_hour", "start_count"):
        cql = f"SELECT DISTINCT toUnixTimestamp(day) FROM {{keyspace}}.{table}"  # noqa: S608  # all ours
        for page in cassandra.read_pages(cql, (), rows=DAYS_PER_PAGE):
            days.update(day for (day,) in page)
    return days


def missing_index_entries(day_ms: int, seen: SeenShards) -> dict[HourOfCountry, int]:
    """Return the hours of countries with starts that no report can find, each with its shards. Raises StoreError."""
    starts = seen.of_day(day_ms)
    if not starts:
        return {}
    there = {(country, hour): shards or 0 for hour, country, shards in _index(day_ms)}
    cutoff = retention_cutoff_ms(wall_clock_ms())
    return {
        one: shards
        for one, shards in starts.items()
        if shards > there.get(one, 0) and one[1] + HOUR_MS > cutoff + MINUTE_MS
    }


def write_index_entries(missing: Mapping[HourOfCountry, int]) -> None:
    """Make the starts of these hours known to reports, and have them counted. Raises StoreError."""
    now_ms = wall_clock_ms()
    keys = [(domain.day_of(hour), hour, country) for country, hour in missing]
    written = _execute(*((SELECT_WRITTEN, key) for key in keys))
    statements: list[Statement] = []
    for (day, hour, country), shards, rows in zip(keys, missing.values(), written, strict=True):
        above = rows[0][0] + 1 if rows and rows[0][0] is not None else 0
        ttl = ttl_seconds(hour + HOUR_MS, now_ms=now_ms)
        values = (day, hour, country, shards, max(hour * MICROSECONDS + shards, above), ttl)
        statements.append((INSERT_INDEX_ENTRY, values))
    execute_and_recount(statements, [Cell(*one, WHOLE_HOUR, shards) for one, shards in missing.items()])


def wrong_counts(day_ms: int) -> list[Found]:
    """Return the hours of a day whose numbers are not those of the rows. Raises StoreError.

    As every report does, it stores what nobody has counted yet.
    """
    now_ms = wall_clock_ms()
    window = Window(max(day_ms - 1, retention_cutoff_ms(now_ms)), min(day_ms + DAY_MS - 1, now_ms - MARGIN_MS))
    hours = [hour for hour in window.hours() if window.covers_hour(hour)] if window.from_ms < window.to_ms else []
    if not hours:
        return []
    index = {(country, hour): shards for hour, country, shards in _index(day_ms) if shards and hour in hours}
    if not index and not _store(now_ms).days([day_ms])[day_ms].starts:
        return []
    numbers = count_hours(index, window=window, store=_store(now_ms))
    reported = _reported(window, hours, now_ms=now_ms)
    different = {one for one in {*index, *reported} if reported.get(one, 0) != numbers.get(one, 0)}
    after = count_hours({one: index[one] for one in different & index.keys()}, window=window, store=_store(now_ms))
    wrong = [
        Found(WRONG_COUNT, *one)
        for one in sorted(different)
        if not _is_between(reported.get(one, 0), numbers.get(one, 0), after.get(one, 0))
    ]
    minutes = [one for one in _wrong_minutes(hours, numbers, index, now_ms=now_ms) if one not in different]
    return wrong + [Found(WRONG_MINUTES, *one) for one in minutes]


def _store(now_ms: int) -> Store:
    """Return what counts the rows of a day once: each time it may take MOST_SECONDS."""
    return Store(now_ms, time.monotonic() + MOST_SECONDS, COUNTS_AT_A_TIME)


def _reported(window: Window, hours: Collection[int], *, now_ms: int) -> dict[HourOfCountry, int]:
    """Return the numbers that reports have for these hours of the window."""
    counts = count_starts(window=window, now_ms=now_ms, deadline=time.monotonic() + MOST_SECONDS, all_late=True)
    return {
        (country, hour): number
        for country, numbers in counts.starts.items()
        for hour, number in zip(counts.hours, numbers, strict=True)
        if hour in hours
    }


def _is_between(number: int, before: int, after: int) -> bool:
    return min(before, after) <= number <= max(before, after)


def _wrong_minutes(
    hours: list[int], numbers: Mapping[HourOfCountry, int], index: Shards, *, now_ms: int
) -> Iterator[HourOfCountry]:
    """Yield the hours whose minutes add up to the right number, so that reports take them, and are wrong ones."""
    stored = {
        one: minutes
        for one, minutes in _store(now_ms).minutes(hours).items()
        if one in index and minutes.adds_up_to(numbers.get(one, 0))
    }
    counted = count_minutes({one: index[one] for one in stored}, numbers, store=_store(now_ms))
    for one, starts in counted.items():
        if sum(starts) == numbers[one] and starts != stored[one].starts:
            yield one


def correct_counts(day_ms: int, wrong: Collection[Found]) -> None:
    """Have the wrong hours of a day counted anew. Raises StoreError."""
    deleted_at = wall_clock_ms() * MICROSECONDS
    minutes = [one for one in wrong if one.kind == WRONG_MINUTES]
    execute([(DELETE_MINUTES, (deleted_at, day_ms, hour, country)) for _, country, hour in minutes])
    index = {(country, hour): shards or 1 for hour, country, shards in _index(day_ms)}
    counts = [(one.country, one.hour_ms) for one in wrong if one.kind == WRONG_COUNT]
    execute_and_recount([], [Cell(*one, WHOLE_HOUR, index.get(one, 1)) for one in counts])
    bring_up_to_date([day_ms], now_ms=wall_clock_ms())


def _index(day_ms: int) -> list[Row]:
    return _execute((SELECT_INDEX, (day_ms, day_ms, day_ms + DAY_MS - 1)))[0]


def _execute(*statements: Statement) -> list[list[Row]]:
    return cassandra.execute_many(
        statements, deadline=time.monotonic() + MOST_SECONDS, counting=True, at_a_time=COUNTS_AT_A_TIME
    )
