"""Exact numbers of starts in a part of an hour: an hour that is over is counted by the minute, once.

A window cuts the hours at its edges. Of those the whole minutes are known from then on, and only the minutes that the
window cuts are counted each time; so an edge costs the same however many starts an hour has.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from events import domain
from events.domain import HOUR_MS, MINUTE_MS, Window
from events.keeping import Keeping, fingerprint, store
from events.services import ttl_seconds
from sessions_project import cassandra
from sessions_project.cassandra import Statement

# Partitions of one counting statement: measured ten times faster than one statement each, flat from 72 on.
PARTITIONS_PER_STATEMENT = 72
MINUTES_PER_HOUR = 60

COUNT_STARTS = """
    SELECT country, toUnixTimestamp(hour), COUNT(*) FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? AND ts > ? AND ts <= ?
    GROUP BY country, hour, shard"""
SELECT_MINUTES = """
    SELECT country, touched, minutes FROM {keyspace}.country_hour WHERE day = ? AND hour = ? AND country IN ?"""
COUNT_MINUTES = """
    SELECT country, toUnixTimestamp(floor(ts, 1m)), COUNT(*) FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? GROUP BY country, hour, shard, floor(ts, 1m)"""
UPDATE_MINUTES = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ? SET minutes = ?
    WHERE day = ? AND hour = ? AND country = ?"""

# Over how many shards each country lies in an hour.
Shards = Mapping[str, int]
# A country and the beginning of an hour.
CountryHour = tuple[str, int]


class Cut(NamedTuple):
    """What a window leaves of an hour: whole minutes, and ranges of moments after one up to and including another."""

    minutes: range
    rest: list[tuple[int, int]]


def cut(hour_ms: int, window: Window) -> Cut:
    """What the window leaves of the hour."""
    after, until = max(window.from_ms, hour_ms - 1), min(window.to_ms, hour_ms + HOUR_MS - 1)
    first, behind = -((hour_ms - after - 1) // MINUTE_MS), (until + 1 - hour_ms) // MINUTE_MS
    if first >= behind:
        return Cut(range(0), [(after, until)])
    ends = [(after, hour_ms + first * MINUTE_MS - 1), (hour_ms + behind * MINUTE_MS - 1, until)]
    return Cut(range(first, behind), [(low, high) for low, high in ends if low < high])


def count_cut_hours(
    hours: Mapping[int, Shards], *, window: Window, keeping: Keeping, deadline: float
) -> dict[CountryHour, int]:
    """The starts of countries in what the window leaves of these hours. Raises StoreUnavailable."""
    known = _known_minutes(hours, keeping=keeping, deadline=deadline)
    starts: dict[CountryHour, int] = defaultdict(int)
    queries: list[Statement] = []
    for hour, shards in hours.items():
        minutes, rest = cut(hour, window)
        of_minutes = {country: known[country, hour] for country in shards if minutes and (country, hour) in known}
        for country, numbers in of_minutes.items():
            starts[country, hour] += sum(numbers[minutes.start : minutes.stop])
        for low, high in rest:
            queries += _count_queries(hour, {country: shards[country] for country in of_minutes}, low, high)
        others = {country: its_shards for country, its_shards in shards.items() if country not in of_minutes}
        queries += _count_queries(hour, others, window.from_ms, window.to_ms)
    for rows in cassandra.execute_many(queries, deadline=deadline):
        for country, hour, number in rows:
            starts[country, hour] += number
    return starts


def _count_queries(hour: int, shards: Shards, low: int, high: int) -> Iterator[Statement]:
    for countries, most_shards in _chunks(shards):
        yield COUNT_STARTS, (countries, [hour], range(most_shards), low, high)


def _known_minutes(
    hours: Mapping[int, Shards], *, keeping: Keeping, deadline: float
) -> dict[CountryHour, Sequence[int]]:
    """The starts of every minute of those hours that no write is under way into, counted now or before."""
    over = [hour for hour in hours if hour > keeping.oldest_ms and keeping.allows(hour + HOUR_MS, None)]
    queries = [(SELECT_MINUTES, (domain.day_of(hour), hour, list(hours[hour]))) for hour in over]
    known: dict[CountryHour, Sequence[int]] = {}
    uncounted: dict[CountryHour, str] = {}
    for hour, rows in zip(over, cassandra.execute_many(queries, deadline=deadline), strict=True):
        for country, touched, text in rows:
            kept: list[Any] = json.loads(text) if text else [None]
            if kept[0] == fingerprint(touched):
                known[country, hour] = kept[1:]
            elif keeping.allows(hour + HOUR_MS, touched, counted=kept[0]):
                uncounted[country, hour] = fingerprint(touched)
    known |= _counted_minutes(uncounted, hours, now_ms=keeping.now_ms, deadline=deadline)
    return known


def _counted_minutes(
    uncounted: Mapping[CountryHour, str], hours: Mapping[int, Shards], *, now_ms: int, deadline: float
) -> dict[CountryHour, Sequence[int]]:
    """Count the minutes of these hours, and keep them under their fingerprints."""
    queries: list[Statement] = []
    for hour, shards in hours.items():
        some = {country: shards[country] for country, its_hour in uncounted if its_hour == hour}
        queries += [
            (COUNT_MINUTES, (countries, [hour], range(most_shards))) for countries, most_shards in _chunks(some)
        ]
    counted: dict[CountryHour, list[int]] = {one: [0] * MINUTES_PER_HOUR for one in uncounted}
    for rows in cassandra.execute_many(queries, deadline=deadline):
        for country, minute, number in rows:
            hour = domain.hour_of(minute)
            counted[country, hour][(minute - hour) // MINUTE_MS] += number
    store(
        (UPDATE_MINUTES, (now_ms * 1000, ttl, json.dumps([seen, *counted[country, hour]]), day, hour, country))
        for (country, hour), seen in uncounted.items()
        for day in (domain.day_of(hour),)
        if (ttl := ttl_seconds(hour + HOUR_MS, now_ms=now_ms)) > 0
    )
    return dict(counted)


def _chunks(shards: Shards) -> Iterator[tuple[list[str], int]]:
    """The countries in groups small enough for a statement, each with the most shards of one of them."""
    most = max(shards.values(), default=1)
    countries, size = list(shards), max(1, PARTITIONS_PER_STATEMENT // most)
    for first in range(0, len(countries), size):
        yield countries[first : first + size], most
