"""Starts by the minute: of hours that a window covers in part, of the present hour, and of what was written late.

Whole minutes are counted once, when they are over, and again when a late write has named them. Of an hour that a
window covers in part only the remainder is counted each time: the minutes that the window cuts, and the last few
before now. So an edge costs the same however many starts an hour has.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeVar

from events import domain
from events.batched import batched
from events.counting.mixed_releases import agrees
from events.counting.stored import MINUTES_PER_HOUR, Minutes, Store
from events.counting.validity import LateWrites
from events.domain import HOUR_MS, MINUTE_MS, Window
from events.late_writes import WHOLE_HOUR
from store.cassandra import Statement

# Partitions of one counting statement: measured ten times faster than one statement each, flat from 72 on.
PARTITIONS_PER_STATEMENT = 72
# What a statement costs, in starts that are counted (0.4 ms, 1 µs): minutes with fewer between them share one.
STARTS_PER_STATEMENT = 400
# A node ends a read after 2 s; on a busy one a tenth of a second takes that long.
MOST_STARTS_PER_STATEMENT = 50_000
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
COUNT_MINUTES = """
    SELECT country, toUnixTimestamp(floor(ts, 1m)), COUNT(*) FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? AND ts >= ? AND ts < ?
    GROUP BY country, hour, shard, floor(ts, 1m)"""

T = TypeVar("T")

# A country and the beginning of an hour.
HourOfCountry = tuple[str, int]
# Over how many shards each of them lies.
Shards = Mapping[HourOfCountry, int]


class Part(NamedTuple):
    """What a window leaves of an hour: whole minutes, and ranges of moments after one up to and including another."""

    minutes: range
    remainder: list[tuple[int, int]]


def is_cheap(starts: int) -> bool:
    """Return whether counting so many starts costs no more than another statement."""
    return starts <= STARTS_PER_STATEMENT


def part(hour_ms: int, window: Window, *, known: int) -> Part:
    """Return what the window leaves of the hour, of whose minutes the first ``known`` are known."""
    after, until = max(window.from_ms, hour_ms - 1), min(window.to_ms, hour_ms + HOUR_MS - 1)
    first = -(-(after + 1 - hour_ms) // MINUTE_MS)  # rounded up
    behind = min((until + 1 - hour_ms) // MINUTE_MS, known)
    if first >= behind:
        return Part(range(0), [(after, until)])
    ends = [(after, hour_ms + first * MINUTE_MS - 1), (hour_ms + behind * MINUTE_MS - 1, until)]
    return Part(range(first, behind), [(low, high) for low, high in ends if low < high])


class _Task(NamedTuple):
    """Minutes of a country's hour to count: from ``first`` up to, not including, ``end``; about so many ``starts``."""

    country: str
    hour_ms: int
    shards: int
    first: int
    end: int
    starts: int = 0


class _Query(NamedTuple):
    """A statement, and what of its answer is asked for: of each hour some minutes."""

    statement: Statement
    minutes: Mapping[HourOfCountry, Collection[int]]


def whole_minutes(
    wanted: Shards,
    stored: Mapping[HourOfCountry, Minutes],
    late: LateWrites,
    *,
    release_1: Mapping[int, str | None],
    store: Store,
) -> dict[HourOfCountry, list[int]]:
    """Return the starts of every minute that is over of these hours, and store what had to be counted.

    ``release_1`` says for each day what its counts must have seen of release 1.0; None: they cannot be stored now.
    Raises StoreError.
    """
    hours = {one: stored.get(one) or Minutes() for one in wanted}
    tasks = [
        task
        for one, minutes in hours.items()
        for task in _to_count(*one, minutes, late, wanted[one], release_1=release_1[domain.day_of(one[1])], store=store)
    ]
    _count(tasks, hours, store=store)
    _store(hours, {(task.country, task.hour_ms) for task in tasks}, late, release_1=release_1, store=store)
    return {one: minutes.starts for one, minutes in hours.items()}


def count_minutes(
    wanted: Shards, numbers: Mapping[HourOfCountry, int], *, store: Store
) -> dict[HourOfCountry, list[int]]:
    """Return the starts of every minute of these hours by their rows, whatever is stored; they have about ``numbers``.

    Raises StoreError.
    """
    hours = {one: Minutes() for one in wanted}
    tasks = [_Task(*one, shards, 0, MINUTES_PER_HOUR, numbers.get(one, 0)) for one, shards in wanted.items()]
    _count(tasks, hours, store=store)
    return {one: minutes.starts for one, minutes in hours.items()}


def _count(tasks: Collection[_Task], hours: Mapping[HourOfCountry, Minutes], *, store: Store) -> None:
    """Count the minutes that the tasks name, and put them in their hours."""
    queries = [*_queries(tasks, hours)]
    for task in tasks:
        hours[task.country, task.hour_ms].starts[task.first : task.end] = [0] * (task.end - task.first)
    answers = store.count([one.statement for one in queries])
    for query, rows in zip(queries, answers, strict=True):
        for country, moment, number in rows:
            one = country, domain.hour_of(moment)
            minute = (moment - one[1]) // MINUTE_MS
            if minute in query.minutes.get(one, ()):
                hours[one].starts[minute] += number


def _to_count(
    country: str,
    hour_ms: int,
    minutes: Minutes,
    late: LateWrites,
    shards: int,
    *,
    release_1: str | None,
    store: Store,
) -> Iterator[_Task]:
    """Yield what is to be counted of the hour: what is over and not stored, and what was written late since."""
    over = store.minutes_over(hour_ms)
    position = minutes.position
    if position is None or not agrees(position, release_1) or not late.cover(position, minutes.last_slot):
        minutes.position, minutes.starts, missed = None, [], []
    else:
        missed = late.missed_by(position, country, hour_ms)
    known = len(minutes.starts)
    shards = max([shards, *(cell.shards for cell in missed)])
    again = {cell.minute for cell in missed if cell.minute < known}
    if WHOLE_HOUR in again or (again and is_cheap(sum(minutes.starts))):
        yield _Task(country, hour_ms, shards, 0, max(over, known), sum(minutes.starts))
        return
    for first, end in _runs(again, minutes.starts):
        yield _Task(country, hour_ms, shards, first, end, sum(minutes.starts[first:end]))
    if over > known:
        yield _Task(country, hour_ms, shards, known, over)


def _runs(minutes: Collection[int], starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the minutes as ranges: those with little between them share one."""
    ordered = sorted(minutes)
    first = 0
    for index, minute in enumerate(ordered):
        is_last = index + 1 == len(ordered)
        if is_last or not is_cheap(sum(starts[minute + 1 : ordered[index + 1]])):
            yield ordered[first], minute + 1
            first = index + 1


def _queries(tasks: Iterable[_Task], hours: Mapping[HourOfCountry, Minutes]) -> Iterator[_Query]:
    """Yield statements for these tasks: those near each other share one, and whole hours of a country."""
    by_hour: dict[int, list[_Task]] = defaultdict(list)
    whole: list[_Task] = []
    for task in tasks:
        if (task.first, task.end) == (0, MINUTES_PER_HOUR):
            whole.append(task)
        else:
            by_hour[task.hour_ms].append(task)
    near = (group for some in by_hour.values() for group in _near(some, hours))
    for group in (*near, *grids(whole, key=lambda task: (task.country, task.hour_ms))):
        yield from map(_query, _in_statements(group))


def _near(tasks: Iterable[_Task], hours: Mapping[HourOfCountry, Minutes]) -> Iterator[list[_Task]]:
    """Yield tasks of one hour in groups for one statement: what it counts in vain costs less than another one."""
    group: list[_Task] = []
    counted = 0
    for task in sorted(tasks, key=attrgetter("first", "end")):
        together = _starts([*group, task], hours)
        if group and (len(group) == PARTITIONS_PER_STATEMENT or not is_cheap(together - counted - task.starts)):
            yield group
            group, together = [], task.starts
        group, counted = [*group, task], together
    yield group


def _starts(tasks: Sequence[_Task], hours: Mapping[HourOfCountry, Minutes]) -> int:
    """Return about how many starts a statement for all these tasks of one hour counts."""
    first, end = min(task.first for task in tasks), max(task.end for task in tasks)
    return sum(sum(hours[one].starts[first:end]) for one in {(task.country, task.hour_ms) for task in tasks})


def grids(some: Iterable[T], *, key: Callable[[T], HourOfCountry]) -> Iterable[list[T]]:
    """Return them in grids of one country or one hour each, whichever makes fewer."""
    by_country: dict[str, list[T]] = defaultdict(list)
    by_hour: dict[int, list[T]] = defaultdict(list)
    for one in some:
        country, hour = key(one)
        by_country[country].append(one)
        by_hour[hour].append(one)
    return by_country.values() if len(by_country) < len(by_hour) else by_hour.values()


def _in_statements(tasks: Sequence[_Task]) -> Iterator[Sequence[_Task]]:
    """Yield the tasks in groups, none with more partitions or starts than one statement should count."""
    group: list[_Task] = []
    most = max(1, PARTITIONS_PER_STATEMENT // max(task.shards for task in tasks))
    for task in tasks:
        if group and (len(group) == most or sum(one.starts for one in group) + task.starts > MOST_STARTS_PER_STATEMENT):
            yield group
            group = []
        group.append(task)
    yield group


def _query(tasks: Sequence[_Task]) -> _Query:
    """Return one statement for tasks of one hour, or for whole hours of one country."""
    countries, hours = {task.country for task in tasks}, {task.hour_ms for task in tasks}
    shards = range(max(task.shards for task in tasks))
    low = min(task.hour_ms + task.first * MINUTE_MS for task in tasks)
    high = max(task.hour_ms + task.end * MINUTE_MS for task in tasks)
    minutes: dict[HourOfCountry, set[int]] = defaultdict(set)
    for task in tasks:
        minutes[task.country, task.hour_ms].update(range(task.first, task.end))
    return _Query((COUNT_MINUTES, (countries, hours, shards, low, high)), minutes)


def _store(
    hours: Mapping[HourOfCountry, Minutes],
    counted: Collection[HourOfCountry],
    late: LateWrites,
    *,
    release_1: Mapping[int, str | None],
    store: Store,
) -> None:
    """Store what was counted, and what no register would make anybody look at late writes for any more."""
    for (country, hour), minutes in hours.items():
        seen = release_1[domain.day_of(hour)]
        position = late.position(store.clock_ms, before=minutes.position, release_1=seen or "")
        renewed = minutes.is_looked_behind if store.renews_positions else minutes.is_passed_by(position)
        if seen is not None and ((country, hour) in counted or renewed):
            minutes.position = position
            store.put_minutes(country, hour, minutes)
    store.send()


def count_parts(
    wanted: Shards, minutes: Mapping[HourOfCountry, Sequence[int]], *, window: Window, store: Store
) -> dict[HourOfCountry, int]:
    """Return the starts of countries in what the window leaves of these hours. Raises StoreError.

    ``minutes`` are those that are known from the beginning of each hour.
    """
    whole, remainders = _parts(wanted, minutes, window)
    starts = {one: sum(minutes.get(one, ())[known.start : known.stop]) for one, known in whole.items()}
    queries = [
        query
        for (hour, low, high), shards in remainders.items()
        for query in _remainder_queries(hour, low, high, shards, minutes)
    ]
    for rows in store.count(queries):
        for country, hour, number in rows:
            starts[country, hour] += number
    return starts


def starts_by_minute(
    wanted: Shards, minutes: Mapping[HourOfCountry, Sequence[int]], *, window: Window, store: Store
) -> dict[HourOfCountry, list[int]]:
    """Return the starts of every minute of these hours, 60 numbers each, as far as the window covers it.

    ``minutes`` are those that are known from the beginning of each hour. Raises StoreError.
    """
    whole, remainders = _parts(wanted, minutes, window)
    starts = {one: [0] * MINUTES_PER_HOUR for one in wanted}
    for one, known in whole.items():
        starts[one][known.start : known.stop] = minutes.get(one, ())[known.start : known.stop]
    queries: list[Statement] = []
    for (hour, low, high), shards in remainders.items():
        most = max(shards.values())
        for group in batched(list(shards), max(1, PARTITIONS_PER_STATEMENT // most)):
            countries = [country for country, _ in group]
            queries.append((COUNT_MINUTES, (countries, [hour], range(most), low + 1, high + 1)))
    for rows in store.count(queries):
        for country, moment, number in rows:
            hour = domain.hour_of(moment)
            starts[country, hour][(moment - hour) // MINUTE_MS] += number
    return starts


def _parts(
    wanted: Shards, minutes: Mapping[HourOfCountry, Sequence[int]], window: Window
) -> tuple[dict[HourOfCountry, range], dict[tuple[int, int, int], dict[HourOfCountry, int]]]:
    """Return the known minutes that the window covers of each hour, and the remainders that may have starts.

    A remainder is an hour and the moments after one up to and including another; it has the shards of its countries.
    """
    whole: dict[HourOfCountry, range] = {}
    remainders: dict[tuple[int, int, int], dict[HourOfCountry, int]] = defaultdict(dict)
    for one, shards in wanted.items():
        known, hour = minutes.get(one, ()), one[1]
        whole[one], ends = part(hour, window, known=len(known))
        for low, high in ends:
            if _at_most(known, hour, low, high):
                remainders[hour, low, high][one] = shards
    return whole, remainders


def _at_most(minutes: Sequence[int], hour_ms: int, low: int, high: int) -> float:
    """Return the starts of all minutes after ``low`` and up to ``high``; infinite when one of them is not known."""
    first, last = (low + 1 - hour_ms) // MINUTE_MS, (high - hour_ms) // MINUTE_MS
    return sum(minutes[first : last + 1]) if last < len(minutes) else math.inf


def _remainder_queries(
    hour_ms: int, low: int, high: int, shards: Shards, minutes: Mapping[HourOfCountry, Sequence[int]]
) -> Iterator[Statement]:
    """Yield statements that give the starts after ``low`` and up to ``high`` of these countries."""
    most = max(shards.values())
    for some in batched(list(shards), max(1, PARTITIONS_PER_STATEMENT // most)):
        expected = sum(_at_most(minutes.get(one, ()), hour_ms, low, high) for one in some)
        is_read = expected <= STARTS_IN_PLACE_OF_A_COUNT * len(some) * most
        countries = [country for country, _ in some]
        yield SELECT_ONES if is_read else COUNT_STARTS, (countries, [hour_ms], range(most), low, high)
