"""Exact numbers of starts for each country and hour: stored by the day, and counted where nothing is stored.

A report reads the days of its window, counts what was written late since they were stored, and what its window cuts.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from events import domain
from events.batched import batched
from events.counting.minutes import (
    COUNT_STARTS,
    PARTITIONS_PER_STATEMENT,
    HourOfCountry,
    Shards,
    count_parts,
    grids,
    is_cheap,
    starts_by_minute,
    whole_minutes,
)
from events.counting.mixed_releases import agrees, release_1_digests
from events.counting.stored import MINUTES_PER_HOUR, Day, Minutes, Store
from events.counting.validity import (
    MARGIN_MS,
    LateWrites,
    Marker,
    Position,
    read_late_writes,
    recent_slots,
    slots_since,
)
from events.domain import DAY_MS, HOUR_MS, Window
from events.late_writes import EVERY_COUNTRY, Cell
from store import cassandra
from store.cassandra import Statement

# Minutes that a report counts again: about half of what a report of a month costs. The youngest beyond are left to the
# background.
MOST_CELLS = 64
# An hour of all countries, which an import leaves, in such minutes: a statement or two, and some 100 partitions.
CELLS_OF_AN_HOUR = 8
# What counts that nobody waits for may take: a day of 20 million starts.
MOST_SECONDS = 60.0
# Of those: a report that comes meanwhile finds a node with time for it.
COUNTS_AT_A_TIME = 2
# Days are stored after so many hours of countries, so that a request that runs out of time leaves less for the next.
HOURS_PER_ROUND = 2_304

SELECT_INDEX = """
    SELECT toUnixTimestamp(hour), country, shards FROM {keyspace}.country_hour
    WHERE day = ? AND hour >= ? AND hour <= ?"""
SELECT_INDEX_OF_COUNTRY = """
    SELECT toUnixTimestamp(hour), country, shards FROM {keyspace}.country_hour
    WHERE day = ? AND hour IN ? AND country = ?"""


class Waiting(NamedTuple):
    """Late starts that a report is without: how many minutes of countries wait to be counted again, since when."""

    cells: int
    since_ms: int


@dataclass(slots=True)
class StartCounts:
    """The starts in a window: for each country a number for each of ``hours``, and over how many shards they lie."""

    hours: range
    starts: dict[str, list[int]] = field(default_factory=dict)
    shards: dict[str, int] = field(default_factory=dict)
    # Of the hours that were asked for by the minute, 60 numbers for each country with starts.
    minutes: dict[HourOfCountry, list[int]] = field(default_factory=dict)
    waiting: Waiting | None = None

    def of_hours(self) -> list[int]:
        """Return the starts of all countries together, for each hour."""
        return [sum(of_countries) for of_countries in zip(*self.starts.values(), strict=True)] or [0] * len(self.hours)

    def newest_hours(self, country: str, *, number: int, until_ms: int) -> Iterator[int]:
        """Yield the hours with starts, from the one of ``until_ms`` back, until they hold ``number`` starts."""
        held = 0
        starts = self.starts.get(country, [])
        for index in range(min(len(starts), (until_ms - self.hours.start) // HOUR_MS + 1) - 1, -1, -1):
            if held >= number:
                return
            if starts[index]:
                held += starts[index]
                yield self.hours[index]

    def add_day(self, day_ms: int, hours: int, starts: Mapping[str, Sequence[int]]) -> None:
        """Note the first hours of a day: for each country its shards, and a number for each hour."""
        first = (day_ms - self.hours.start) // HOUR_MS
        left, right = max(first, 0), min(first + hours, len(self.hours))
        if left >= right:
            return
        for country, row in starts.items():
            if country not in self.starts:
                self.starts[country] = [0] * len(self.hours)
            self.starts[country][left:right] = row[1 + left - first : 1 + right - first]
            if row[0] > self.shards.get(country, 0):
                self.shards[country] = row[0]

    def add(self, country: str, hour_ms: int, starts: Sequence[int], shards: int) -> None:
        """Note consecutive hours of a country; those outside of ``hours`` are left out."""
        row = self.starts.setdefault(country, [0] * len(self.hours))
        self.shards[country] = max(shards, self.shards.get(country, 1))
        first = (hour_ms - self.hours.start) // HOUR_MS
        left, right = max(first, 0), min(first + len(starts), len(row))
        row[left:right] = starts[left - first : right - first]


def count_starts(
    *,
    window: Window,
    now_ms: int,
    deadline: float,
    country: str | None = None,
    all_late: bool = False,
    by_minute: Collection[int] = (),
) -> StartCounts:
    """Count the starts of every hour of the window, of all countries or one, and of some hours ``by_minute``, too.

    Of what was written late and is not counted yet MOST_CELLS minutes are, or all; ``waiting`` tells of the others.
    Raises StoreError.
    """
    store = Store(now_ms, deadline)
    hours = window.hours()
    counting = _Counting(window, country, store, _days_of(hours), by_minute)
    counts = StartCounts(hours)
    counting.count(counts, most_cells=None if all_late else MOST_CELLS)
    store.finish()
    return counts


def bring_up_to_date(days: Iterable[int], *, now_ms: int) -> None:
    """Have the counts of these days stored, with all that was written late; nobody waits for it.

    Raises StoreError, after MOST_SECONDS at the latest.
    """
    store = Store(now_ms, time.monotonic() + MOST_SECONDS, COUNTS_AT_A_TIME, renews_positions=True)
    window = Window(store.retention_cutoff_ms, now_ms)
    known = [day for day in days if day + DAY_MS > store.retention_cutoff_ms and day <= now_ms]
    _Counting(window, None, store, sorted(known)).count(None, most_cells=None)
    store.finish()


def _days_of(hours: range) -> Sequence[int]:
    return range(domain.day_of(hours[0]), hours[-1] + 1, DAY_MS)


class _Counting:
    """One report: the days that it reads, what was written late into them, and what is to be counted."""

    def __init__(
        self,
        window: Window,
        country: str | None,
        store: Store,
        days: Sequence[int],
        by_minute: Collection[int] = (),
    ) -> None:
        self._window, self._country, self._store = window, country, store
        self._edges = [hour for hour in _edges(window) if domain.day_of(hour) in days]
        self._by_minute = {hour for hour in by_minute if hour in window.hours()}
        self._days = store.days(days)
        self._release_1 = release_1_digests(days, store)
        countries = None if country is None else {day: [country] for day in days}
        self._minutes = store.minutes(self._by_minute.union(self._edges), countries=countries)
        self._late = LateWrites()
        # Of hours that late writes name: see _missing_in.
        self._missing: dict[int, bool | Position] = {}
        # Stored hours into which any country may have been written to since.
        self._void: set[int] = set()

    def count(self, counts: StartCounts | None, *, most_cells: int | None) -> None:
        """Count what is missing, store it, and note everything in ``counts``."""
        self._read_late_writes(most_cells)
        waiting = self._waiting()
        index = self._index()
        dirty = self._dirty()
        parts = self._parts(index, dirty)
        by_minute = {one: shards for one, shards in index.items() if one[1] in self._by_minute}
        by_minute |= self._stored_in(self._by_minute, dirty)
        needed = {**parts, **by_minute}
        small = {one: shards for one, shards in dirty.items() if one not in needed and self._is_small(*one)}
        large = {one: shards for one, shards in dirty.items() if one not in small}
        minutes = self._whole_minutes({**needed, **large})
        counted = count_hours(small, window=self._window, store=self._store)
        counted |= {one: sum(minutes[one]) for one in large}
        for (country, hour), number in counted.items():
            self._days[domain.day_of(hour)].put(country, hour, number, shards=dirty[country, hour])
        whole = {one: shards for one, shards in index.items() if self._is_whole(one[1])}
        numbers = self._count_and_store_days(whole, dirty)
        if counts is not None:
            self._note(counts, numbers, whole)
            self._note_parts(counts, parts, by_minute, minutes)
            counts.waiting = waiting

    def _read_late_writes(self, most_cells: int | None) -> None:
        """Find what was written behind the positions of what is stored."""
        for day in self._days.values():
            if day.position and not agrees(day.position, self._release_1[day.day_ms]):
                self._days[day.day_ms] = Day(day.day_ms, day.last_slot)
        self._take_positions_of_days(self._minutes)
        by_register: dict[int, int] = {}
        recent = recent_slots(self._store.clock_ms)
        slots: set[int] = set()
        positions: list[Position] = []
        stored: list[Day | Minutes] = [*self._days.values(), *self._minutes.values()]
        for one in stored:
            if one.position is None:
                slots.update(recent)  # so that what is counted anew is stored as having seen them
                continue
            if one.last_slot is None or not one.is_looked_behind:
                continue
            if since := slots_since(one.position, one.last_slot, clock_ms=self._store.clock_ms):
                slots.update(since)
                positions.append(one.position)
            elif isinstance(one, Day):
                by_register[one.day_ms] = one.position.slot
                slots.update(recent)
        if slots:
            late = read_late_writes(slots, positions, deadline=self._store.deadline)
            self._late = late if most_cells is None else late.oldest(most=most_cells, cost=self._cost)
        self._void = {hour for country, hour in self._late.hours() if country == EVERY_COUNTRY and self._is_void(hour)}
        self._void |= self._store.hours_written(by_register)
        self._store.is_complete = not self._late.waiting

    def _is_void(self, hour_ms: int) -> bool:
        position = self._day_of(hour_ms).position
        return position is not None and bool(self._late.missed_by(position, EVERY_COUNTRY, hour_ms))

    def _day_of(self, hour_ms: int) -> Day:
        """Return the day of an hour; an empty one where this report does not read it."""
        day = domain.day_of(hour_ms)
        return self._days.get(day) or Day(day)

    def _cost(self, marker: Marker, cell: Cell) -> int:
        """Return what counting a cell that a marker names costs, in minutes; 0 when it is not missing."""
        if not self._misses(marker, cell):
            return 0
        return CELLS_OF_AN_HOUR if cell.country == EVERY_COUNTRY and self._country is None else 1

    def _misses(self, marker: Marker, cell: Cell) -> bool:
        """Return whether a minute that a marker names is of this report, and is missing in what is stored."""
        if not self._is_of_country(cell.country):
            return False
        missing = self._missing.get(cell.hour_ms)
        if missing is None:
            missing = self._missing[cell.hour_ms] = self._missing_in(cell.hour_ms)
        return missing if isinstance(missing, bool) else missing.misses(marker)

    def _missing_in(self, hour_ms: int) -> bool | Position:
        """Return whether everything of the hour is missing, or nothing, or what came after a position."""
        if not self._is_in_window(hour_ms):
            return False
        day = self._day_of(hour_ms)
        if day.position is None or not day.has(hour_ms):
            return not self._is_whole(hour_ms)  # its minutes may be stored; whole hours are counted now
        return day.position

    def _is_in_window(self, hour_ms: int) -> bool:
        in_window = domain.hour_of(self._window.from_ms) <= hour_ms <= self._window.to_ms
        return in_window and hour_ms > self._store.retention_cutoff_ms

    def _is_of_country(self, country: str) -> bool:
        return self._country is None or country in (self._country, EVERY_COUNTRY)

    def _is_whole(self, hour_ms: int) -> bool:
        """Return whether the window covers all of an hour that is over and has not begun to expire."""
        store = self._store
        is_over = store.minutes_over(hour_ms) == MINUTES_PER_HOUR
        return is_over and self._window.covers_hour(hour_ms) and hour_ms > store.retention_cutoff_ms

    def _has(self, hour_ms: int) -> bool:
        """Return whether the hour is stored with its day, and nothing of it is void or has expired."""
        return (
            hour_ms > self._store.retention_cutoff_ms
            and hour_ms not in self._void
            and self._day_of(hour_ms).has(hour_ms)
        )

    def _hours(self, day_ms: int) -> range:
        """Return the hours of a day that the window touches."""
        first, last = domain.hour_of(self._window.from_ms), self._window.to_ms
        return range(max(day_ms, first), min(day_ms + DAY_MS - 1, last) + 1, HOUR_MS)

    def _index(self) -> dict[HourOfCountry, int]:
        """Return which countries have starts in the hours that are not stored, over how many shards."""
        of_days: dict[int, list[int]] = {}
        for day in self._days.values():
            if hours := [hour for hour in self._hours(day.day_ms) if not self._has(hour)]:
                of_days[day.day_ms] = hours
        queries: list[Statement] = [
            (SELECT_INDEX, (day, hours[0], hours[-1]))
            if self._country is None
            else (SELECT_INDEX_OF_COUNTRY, (day, hours, self._country))
            for day, hours in of_days.items()
        ]
        rows = [row for some in cassandra.execute_many(queries, deadline=self._store.deadline) for row in some]
        return {(country, hour): shards for hour, country, shards in rows if shards is not None and not self._has(hour)}

    def _dirty(self) -> dict[HourOfCountry, int]:
        """Return the stored hours that were written late since, each with its shards."""
        dirty: dict[HourOfCountry, int] = {}
        for country, hour in self._late.hours():
            if self._is_in_window(hour) and self._is_of_country(country) and self._has(hour):
                day = self._day_of(hour)
                if day.position and (cells := self._late.missed_by(day.position, country, hour)):
                    before = day.starts.get(country, [1])[0]
                    dirty[country, hour] = max([before, *(cell.shards for cell in cells)])
        return dirty

    def _is_small(self, country: str, hour_ms: int) -> bool:
        """Return whether counting the whole stored hour costs no more than to find out which minutes it lacks."""
        return is_cheap(self._day_of(hour_ms).number(country, hour_ms))

    def _parts(self, index: Shards, dirty: Shards) -> dict[HourOfCountry, int]:
        """Return the hours of countries that the window does not cover, or that are not over or partly expired."""
        parts = {one: shards for one, shards in index.items() if not self._is_whole(one[1])}
        return parts | self._stored_in(self._edges, dirty)

    def _stored_in(self, hours: Iterable[int], dirty: Shards) -> dict[HourOfCountry, int]:
        """Return which countries have starts in those of the hours that are stored, or were written late to since."""
        found: dict[HourOfCountry, int] = {}
        for hour in filter(self._has, hours):
            found.update({one: shards for one, shards in dirty.items() if one[1] == hour})
            day = self._days[domain.day_of(hour)]
            for country in day.starts if self._country is None else self._of_country(day):
                if day.number(country, hour):
                    found.setdefault((country, hour), day.starts[country][0])
        return found

    def _whole_minutes(self, wanted: Shards) -> dict[HourOfCountry, list[int]]:
        """Return the whole minutes of these hours."""
        unexpired = {one: shards for one, shards in wanted.items() if one[1] > self._store.retention_cutoff_ms}
        unread = {hour for _, hour in unexpired}.difference(self._edges, self._by_minute)
        countries: dict[int, set[str]] = defaultdict(set)
        for country, hour in unexpired:
            countries[domain.day_of(hour)].add(country)
        stored: dict[HourOfCountry, Minutes] = {
            **self._minutes,
            **self._store.minutes(unread, countries=countries, wanted=unexpired),
        }
        self._take_positions_of_days(stored)
        return whole_minutes(unexpired, stored, self._late, release_1=self._release_1, store=self._store)

    def _take_positions_of_days(self, stored: Mapping[HourOfCountry, Minutes]) -> None:
        """Take the position of a day for minutes that add up to its number: they are as complete as the day.

        Those that do not, and are asked for as such, are counted again: what they lack may be left to wait.
        """
        for (country, hour), minutes in stored.items():
            day = self._day_of(hour)
            if not day.position or not self._has(hour):
                continue
            if minutes.adds_up_to(day.number(country, hour)):
                minutes.position, minutes.last_slot = day.position, day.last_slot
            elif hour in self._by_minute:
                minutes.position = None

    def _count_and_store_days(self, whole: Shards, dirty: Shards) -> dict[HourOfCountry, int]:
        """Count the hours that are not stored, newest days first, and store the days that the window covers."""
        changed = {domain.day_of(hour) for hour in self._void.union(hour for _, hour in dirty)}
        of_days: dict[int, dict[HourOfCountry, int]] = {day: {} for day in sorted(self._days, reverse=True)}
        for one, shards in whole.items():
            of_days[domain.day_of(one[1])][one] = shards
        numbers: dict[HourOfCountry, int] = {}
        for days in _rounds(of_days):
            missing = {one: shards for day in days for one, shards in of_days[day].items()}
            counted = count_hours(missing, window=self._window, store=self._store)
            for day in days:
                self._store_day(
                    day, {one: counted[one] for one in of_days[day]}, of_days[day], is_changed=day in changed
                )
            self._store.send()
            numbers |= counted
        return numbers

    def _store_day(self, day_ms: int, counted: Shards, shards: Shards, *, is_changed: bool) -> None:
        """Store a day of which all hours that are over are counted now, if there is anything new."""
        day, over, release_1 = self._days[day_ms], self._store.hours_over(day_ms), self._release_1[day_ms]
        covered = all(map(self._window.covers_hour, (day_ms, day_ms + over * HOUR_MS - HOUR_MS)))
        is_whole = self._store.is_complete and self._country is None and over and covered
        if not is_whole or release_1 is None:
            return
        position = self._late.position(self._store.clock_ms, before=day.position, release_1=release_1)
        if is_changed or day.hours < over or day.is_passed_by(position):
            day.extend(over)
            for hour in self._void.intersection(self._hours(day_ms)):
                day.clear(hour)
            for (country, hour), number in counted.items():
                day.put(country, hour, number, shards=shards[country, hour])
            day.position = position
            self._store.put_day(day)

    def _note(self, counts: StartCounts, numbers: Mapping[HourOfCountry, int], whole: Shards) -> None:
        """Note all whole hours."""
        for day in self._days.values():
            counts.add_day(day.day_ms, day.hours, day.starts if self._country is None else self._of_country(day))
        for (country, hour), number in numbers.items():
            counts.add(country, hour, [number], whole[country, hour])
        not_over_ms = max(domain.hour_of(self._store.clock_ms - MARGIN_MS), counts.hours.start)
        going_on = range(not_over_ms, counts.hours.stop, HOUR_MS)
        for hour in {*self._edges, *going_on}:
            for country, shards in counts.shards.items():
                counts.add(country, hour, [0], shards)

    def _of_country(self, day: Day) -> dict[str, list[int]]:
        return {country: row for country, row in day.starts.items() if country == self._country}

    def _note_parts(
        self, counts: StartCounts, parts: Shards, by_minute: Shards, minutes: Mapping[HourOfCountry, Sequence[int]]
    ) -> None:
        """Note what is left of hours, and the minutes that were asked for: of their hours, these are the numbers."""
        counts.minutes = starts_by_minute(by_minute, minutes, window=self._window, store=self._store)
        rest = {one: shards for one, shards in parts.items() if one not in by_minute}
        starts = count_parts(rest, minutes, window=self._window, store=self._store)
        starts |= {one: sum(row) for one, row in counts.minutes.items()}
        for one, number in starts.items():
            counts.add(*one, [number], by_minute.get(one) or parts[one])

    def _waiting(self) -> Waiting | None:
        missed = [
            (marker.version, cell)
            for marker in self._late.waiting
            for cell in marker.cells
            if self._misses(marker, cell)
        ]
        return Waiting(len({cell for _, cell in missed}), missed[0][0]) if missed else None


def _edges(window: Window) -> list[int]:
    """Return the hours that the window does not cover as a whole, at its beginning and at its end."""
    return [
        hour
        for hour in sorted({domain.hour_of(window.from_ms), domain.hour_of(window.to_ms)})
        if not window.covers_hour(hour)
    ]


def _rounds(of_days: Mapping[int, Shards]) -> Iterator[list[int]]:
    """Yield the days in groups of about HOURS_PER_ROUND hours of countries."""
    days, hours = list[int](), 0
    for day, some in of_days.items():
        days.append(day)
        hours += len(some)
        if hours >= HOURS_PER_ROUND:
            yield days
            days, hours = [], 0
    if days:
        yield days


def count_hours(wanted: Shards, *, window: Window, store: Store) -> dict[HourOfCountry, int]:
    """Count the rows of whole hours of countries, as far as the window covers them. Raises StoreError."""
    starts = dict.fromkeys(wanted, 0)
    queries = [_count_query(group, wanted, window) for group in _groups(wanted)]
    for rows in store.count(queries):
        for country, hour, number in rows:
            if (country, hour) in starts:
                starts[country, hour] += number
    return starts


def _groups(wanted: Shards) -> Iterator[Sequence[HourOfCountry]]:
    """Yield the hours in groups that one statement counts."""
    for grid in grids(wanted, key=lambda one: one):
        yield from batched(grid, max(1, PARTITIONS_PER_STATEMENT // max(wanted[one] for one in grid)))


def _count_query(group: Sequence[HourOfCountry], shards: Shards, window: Window) -> Statement:
    countries, hours = {country for country, _ in group}, {hour for _, hour in group}
    return COUNT_STARTS, (countries, hours, range(max(shards[one] for one in group)), window.from_ms, window.to_ms)
