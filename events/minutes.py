"""Exact numbers of starts in a part of an hour: its minutes are counted once, when they are over.

A window cuts the hours at its edges, and the present hour is not complete. Of those the whole minutes are known from
then on, and only the rest is counted each time: the minutes that the window cuts, and the last few before now. So an
edge costs the same however many starts an hour has.
"""

import json
import math
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from events import domain
from events.batched import batched
from events.domain import HOUR_MS, MINUTE_MS, Window
from events.keeping import MINUTES_PER_HOUR, Keeping, as_map
from sessions_project import cassandra
from sessions_project.cassandra import Statement
from sessions_project.coalescing import Coalescing

# Partitions of one counting statement: measured ten times faster than one statement each, flat from 72 on.
PARTITIONS_PER_STATEMENT = 72
# Up to so many starts in each partition, on average, are read and not counted. Up to 80 that takes less time, but it is
# the web process that has more to do.
STARTS_IN_PLACE_OF_A_COUNT = 10

COUNT_STARTS = """
    SELECT country, toUnixTimestamp(hour), COUNT(*) FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? AND ts > ? AND ts <= ?
    GROUP BY country, hour, shard"""
# The same with a row for each start: of 26 partitions with 10 starts each 2.7 ms for 4.0 (medians of 300).
SELECT_ONES = """
    SELECT country, toUnixTimestamp(hour), (int) 1 FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? AND ts > ? AND ts <= ?"""
SELECT_MINUTES = """
    SELECT country, toJson(touched), minutes FROM {keyspace}.country_hour
    WHERE day = ? AND hour = ? AND country IN ?"""
COUNT_MINUTES = """
    SELECT country, toUnixTimestamp(floor(ts, 1m)), COUNT(*) FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? AND ts >= ? AND ts < ?
    GROUP BY country, hour, shard, floor(ts, 1m)"""
UPDATE_MINUTES = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ? SET minutes = ?
    WHERE day = ? AND hour = ? AND country = ?"""

# Over how many shards each country lies in an hour.
ShardsOf = Mapping[str, int]
# A country and the beginning of an hour.
Cell = tuple[str, int]


_counts = Coalescing()


@dataclass(slots=True)
class _Kept:
    """The starts of the first minutes of a country's hour, and the touches that they have seen, as text."""

    country: str
    hour_ms: int
    seen: str
    starts: list[int]


class Cut(NamedTuple):
    """What a window leaves of an hour: whole minutes, and ranges of moments after one up to and including another."""

    minutes: range
    rest: list[tuple[int, int]]


def cut(hour_ms: int, window: Window, *, known: int) -> Cut:
    """What the window leaves of the hour, of whose minutes the first ``known`` are known."""
    after, until = max(window.from_ms, hour_ms - 1), min(window.to_ms, hour_ms + HOUR_MS - 1)
    first = -(-(after + 1 - hour_ms) // MINUTE_MS)  # rounded up
    behind = min((until + 1 - hour_ms) // MINUTE_MS, known)
    if first >= behind:
        return Cut(range(0), [(after, until)])
    ends = [(after, hour_ms + first * MINUTE_MS - 1), (hour_ms + behind * MINUTE_MS - 1, until)]
    return Cut(range(first, behind), [(low, high) for low, high in ends if low < high])


def count_cut_hours(hours: Mapping[int, ShardsOf], *, window: Window, keeping: Keeping) -> dict[Cell, int]:
    """The starts of countries in what the window leaves of these hours. Raises StoreUnavailable."""
    # Of an hour that has just begun no minute is kept; nor of one that is partly older than the retention, of which the
    # window leaves what has not expired.
    over = {hour: of for hour, of in hours.items() if hour > keeping.gone_ms and keeping.minutes_over(hour)}
    known = _known_minutes(over, keeping=keeping)
    known |= _minutes_now(_unknown(over, known), keeping=keeping)
    starts: dict[Cell, int] = defaultdict(int)
    queries: list[Statement] = []
    for hour, shards in hours.items():
        by_known: dict[int, dict[str, int]] = defaultdict(dict)
        for country, its_shards in shards.items():
            by_known[len(known.get((country, hour), ()))][country] = its_shards
        for known_minutes, some in by_known.items():
            minutes, rest = cut(hour, window, known=known_minutes)
            if minutes:
                for country in some:
                    starts[country, hour] += sum(known[country, hour][minutes.start : minutes.stop])
            for low, high in rest:
                at_most = {country: _at_most(known.get((country, hour), ()), hour, low, high) for country in some}
                queries += _count_queries(hour, some, at_most, low, high)
    for rows in cassandra.execute_many(queries, deadline=keeping.deadline, counting=True):
        for country, hour, number in rows:
            starts[country, hour] += number
    return starts


def _at_most(minutes: Sequence[int], hour: int, low: int, high: int) -> float:
    """The starts of all minutes after ``low`` and up to ``high``; infinite when one of them is not known."""
    first, last = (low + 1 - hour) // MINUTE_MS, (high - hour) // MINUTE_MS
    return sum(minutes[first : last + 1]) if last < len(minutes) else math.inf


def _count_queries(
    hour: int, shards: ShardsOf, at_most: Mapping[str, float], low: int, high: int
) -> Iterator[Statement]:
    """Statements that give the starts after ``low`` and up to ``high`` of the countries that may have some."""
    for countries, most_shards in _chunks({country: of for country, of in shards.items() if at_most[country]}):
        few = STARTS_IN_PLACE_OF_A_COUNT * len(countries) * most_shards
        is_read = sum(at_most[country] for country in countries) <= few
        yield SELECT_ONES if is_read else COUNT_STARTS, (countries, [hour], range(most_shards), low, high)


def _known_minutes(hours: Mapping[int, ShardsOf], *, keeping: Keeping) -> dict[Cell, Sequence[int]]:
    """The starts of every minute of these hours that is over, counted now or before. Of hours that were written late a
    moment ago none is known."""
    queries = [(SELECT_MINUTES, (domain.day_of(hour), hour, list(hours[hour]))) for hour in hours]
    kept: list[_Kept] = []
    for hour, rows in zip(hours, cassandra.execute_many(queries, deadline=keeping.deadline), strict=True):
        for country, told, text in rows:
            record: list[Any] = msgspec.json.decode(text) if text else [None]
            counted, *starts = record
            touched = as_map(told)
            if counted == touched:
                kept.append(_Kept(country, hour, touched, starts))
            elif keeping.allows(hour, touched, counted=counted):
                kept.append(_Kept(country, hour, touched, []))
    incomplete = [one for one in kept if len(one.starts) < keeping.minutes_over(one.hour_ms)]
    _count_missing(incomplete, hours, keeping=keeping)
    return {(one.country, one.hour_ms): one.starts for one in kept}


def _count_missing(incomplete: Sequence[_Kept], hours: Mapping[int, ShardsOf], *, keeping: Keeping) -> None:
    """Count the minutes that are over and not known, and keep them with those that are."""
    missing: dict[range, dict[str, int]] = defaultdict(dict)
    for one in incomplete:
        begin, end = len(one.starts), keeping.minutes_over(one.hour_ms)
        moments = range(one.hour_ms + begin * MINUTE_MS, one.hour_ms + end * MINUTE_MS)
        missing[moments][one.country] = hours[one.hour_ms][one.country]
        one.starts.extend([0] * (end - begin))
    kept = {(one.country, one.hour_ms): one for one in incomplete}
    for cell, minute, number in _count_minutes(missing, deadline=keeping.deadline):
        kept[cell].starts[minute] += number
    for one in incomplete:
        text, key = json.dumps([one.seen, *one.starts]), (domain.day_of(one.hour_ms), one.hour_ms, one.country)
        keeping.keep(UPDATE_MINUTES, (text,), key=key, until_ms=one.hour_ms + HOUR_MS)
    keeping.send()


def _unknown(hours: Mapping[int, ShardsOf], known: Container[Cell]) -> dict[range, ShardsOf]:
    """The hours, as ranges of moments, each with the countries of which nothing is known."""
    unknown = {
        range(hour, hour + HOUR_MS): {country: shards[country] for country in shards if (country, hour) not in known}
        for hour, shards in hours.items()
    }
    return {moments: shards for moments, shards in unknown.items() if shards}


def _minutes_now(hours: Mapping[range, ShardsOf], *, keeping: Keeping) -> dict[Cell, Sequence[int]]:
    """The starts of every minute of these hours as they are now. Of no use later, so for all who ask meanwhile."""
    if not hours:
        return {}

    def count() -> dict[Cell, Sequence[int]]:
        starts = {(country, moments.start): [0] * MINUTES_PER_HOUR for moments in hours for country in hours[moments]}
        for cell, minute, number in _count_minutes(hours, deadline=keeping.deadline):
            starts[cell][minute] += number
        return {cell: tuple(minutes) for cell, minutes in starts.items()}

    question = frozenset((moments, frozenset(shards.items())) for moments, shards in hours.items())
    return _counts.answer(question, count, deadline=keeping.deadline)


def _count_minutes(wanted: Mapping[range, ShardsOf], *, deadline: float) -> Iterator[tuple[Cell, int, int]]:
    """The starts of whole minutes, of each range of moments inside an hour: the cell, the minute, a number to add."""
    queries = [
        (COUNT_MINUTES, (countries, [domain.hour_of(moments.start)], range(shards), moments.start, moments.stop))
        for moments, shards_of in wanted.items()
        for countries, shards in _chunks(shards_of)
    ]
    for rows in cassandra.execute_many(queries, deadline=deadline, counting=True):
        for country, minute_ms, number in rows:
            hour = domain.hour_of(minute_ms)
            yield (country, hour), (minute_ms - hour) // MINUTE_MS, number


def _chunks(shards: ShardsOf) -> Iterator[tuple[Sequence[str], int]]:
    """The countries in groups small enough for a statement, each with the most shards of one of them."""
    most = max(shards.values(), default=1)
    for countries in batched(list(shards), max(1, PARTITIONS_PER_STATEMENT // most)):
        yield countries, most
