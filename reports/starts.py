"""Starts of sessions: for each country, of one country as a list, and over time."""

import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from events import domain
from events.clock import retention_cutoff_ms
from events.counting.hours import StartCounts, Waiting, count_starts
from events.counting.minutes import PARTITIONS_PER_STATEMENT, HourOfCountry
from events.domain import Window
from reports.expensive import expensive_when_long
from reports.positions import NO_SESSION, Position
from store import cassandra
from store.cassandra import Row, Statement

# PER PARTITION LIMIT: of each hour and shard its newest rows. The upper end is exclusive and a pair, so that the same
# statement begins a walk at the window's end and continues it behind a row.
SELECT_STARTS = """
    SELECT country, toUnixTimestamp(ts), session_id, player_id FROM {keyspace}.session_by_country
    WHERE country IN ? AND hour IN ? AND shard IN ? AND (ts) > (?) AND (ts, session_id) < (?, ?)
    PER PARTITION LIMIT ?"""

# Partitions that a statement reads for nobody, to save another statement.
PARTITIONS_IN_VAIN = 16
# Hours read by one statement; each may hold a full page.
HOURS_PER_STATEMENT = 48
# Of a report that is read to its end: 5,000 rows are 500 kB.
STARTS_AT_A_TIME = 5_000


# Called with what a report lacks.
OnWaiting = Callable[[Waiting], None]


class Start(NamedTuple):
    """A session that started."""

    ts_ms: int
    session_id: uuid.UUID
    player_id: str

    @property
    def position(self) -> Position:
        return Position(self.ts_ms, self.session_id)


@dataclass(frozen=True, slots=True)
class CountryStarts:
    """All starts of one country in a window as a number, and the newest as rows."""

    country: str
    starts: int
    newest: Sequence[Start]


def report_window(*, hours: int, as_of_ms: int, now_ms: int) -> Window:
    """Return the last ``hours`` before ``as_of_ms``, less what is older than the retention.

    >>> now = domain.parse_timestamp("2026-11-30T06:30")
    >>> window = report_window(hours=24, as_of_ms=now, now_ms=now)
    >>> domain.format_timestamp(window.from_ms), window.to_ms == now
    ('2026-11-29T06:30:00.000Z', True)
    """
    return known_window(Window(as_of_ms - hours * domain.HOUR_MS, as_of_ms), now_ms=now_ms)


def known_window(window: Window, *, now_ms: int) -> Window:
    """Return the window, less what is older than the retention."""
    cutoff = retention_cutoff_ms(now_ms)
    return Window(max(window.from_ms, cutoff), max(window.to_ms, cutoff))


@expensive_when_long
def starts_by_country(
    *, window: Window, now_ms: int, newest: int, on_waiting: OnWaiting | None = None
) -> list[CountryStarts]:
    """Return every country with starts in the window, most starts first, each with its ``newest`` newest.

    Raises StoreError.
    """
    deadline = cassandra.deadline_from_now()
    counts = counted(window, now_ms=now_ms, country=None, deadline=deadline, on_waiting=on_waiting)
    starts = {country: number for country, row in counts.starts.items() if (number := sum(row))}
    rows_of = _newest_of_countries(starts, counts, window=window, newest=newest, deadline=deadline) if newest else {}
    report = [CountryStarts(country, number, rows_of.get(country, [])) for country, number in starts.items()]
    return sorted(report, key=lambda one: (-one.starts, one.country))


def _newest_of_countries(
    countries: Iterable[str], counts: StartCounts, *, window: Window, newest: int, deadline: float
) -> dict[str, list[Start]]:
    """Return the ``newest`` newest starts of each country, by few statements for many countries."""
    hours_of = {
        country: list(counts.newest_hours(country, number=newest, until_ms=window.to_ms)) for country in countries
    }
    queries = queries_of(hours_of, counts, window=window, limit=newest)
    rows_of: dict[str, list[Row]] = defaultdict(list)
    for rows in cassandra.execute_many(queries, deadline=deadline):
        for row in rows:
            rows_of[row[0]].append(row)
    return {country: _newest(rows, newest, shards=counts.shards[country]) for country, rows in rows_of.items()}


def queries_of(
    hours_of: Mapping[str, Sequence[int]], counts: StartCounts, *, window: Window, limit: int
) -> list[Statement]:
    """Return what reads the newest starts of these hours of countries: so many of each shard of an hour."""
    end = Position(window.to_ms + 1, NO_SESSION)
    return [
        starts_query(some, hours, shards=shards, window=window, before=end, limit=limit)
        for some, hours, shards in _grids(hours_of, counts.shards)
    ]


def _grids(
    hours_of: Mapping[str, Sequence[int]], shards_of: Mapping[str, int]
) -> Iterator[tuple[list[str], set[int], int]]:
    """Yield countries that need much the same hours, all of these hours, and over how many shards they lie.

    A grid has PARTITIONS_PER_STATEMENT at most, and PARTITIONS_IN_VAIN that nobody wants, unless it is of one country.
    """
    grid: list[str] = []
    hours: set[int] = set()
    shards, wanted = 1, 0
    for country in sorted(hours_of, key=lambda country: (len(hours_of[country]), hours_of[country])):
        wider, more = hours.union(hours_of[country]), max(shards, shards_of[country])
        size, wants = (len(grid) + 1) * len(wider) * more, len(hours_of[country]) * shards_of[country]
        if grid and (size > PARTITIONS_PER_STATEMENT or size - wanted - wants > PARTITIONS_IN_VAIN):
            yield grid, hours, shards
            grid, wider, more, wanted = [], set(hours_of[country]), shards_of[country], 0
        grid, hours, shards, wanted = [*grid, country], wider, more, wanted + wants
    if grid:
        yield grid, hours, shards


@expensive_when_long
def starts_of_country(
    *,
    country: str,
    window: Window,
    now_ms: int,
    limit: int,
    after: Position | None = None,
    on_waiting: OnWaiting | None = None,
) -> tuple[int, list[Start], Position | None]:
    """Return the number of starts in the window, a page of them, newest first, and where the next one begins, if any.

    Raises StoreError.
    """
    deadline = cassandra.deadline_from_now()
    counts = counted(window, now_ms=now_ms, country=country, deadline=deadline, on_waiting=on_waiting)
    end = Position(window.to_ms + 1, NO_SESSION)
    before = min(after, end, key=Position.order) if after else end
    page = _starts_before(before, country=country, counts=counts, window=window, limit=limit, deadline=deadline)
    more = len(page) > limit
    return sum(counts.starts.get(country, [])), page[:limit], page[limit - 1].position if more else None


def every_start_of_country(*, country: str, window: Window, now_ms: int) -> Iterator[Start]:
    """Yield every start in the window, newest first, read as it is taken. Taking one may raise StoreError."""
    deadline = cassandra.deadline_from_now()
    counts = count_starts(window=window, now_ms=now_ms, country=country, deadline=deadline, all_late=True)
    before = Position(window.to_ms + 1, NO_SESSION)
    while page := _starts_before(
        before,
        country=country,
        counts=counts,
        window=window,
        limit=STARTS_AT_A_TIME,
        deadline=cassandra.deadline_from_now(),
    ):
        yield from page
        before = page[-1].position


def _starts_before(
    before: Position, *, country: str, counts: StartCounts, window: Window, limit: int, deadline: float
) -> list[Start]:
    """Return the newest starts of the window before a position: more than ``limit`` if there are so many."""
    page: list[Start] = []
    shards = counts.shards.get(country, 1)
    until_ms = before.ts_ms
    while len(page) <= limit:
        # The hour that the walk stands in may hold fewer rows than it counts: then another round follows.
        wanted = counts.newest_hours(country, number=limit + 1 - len(page), until_ms=until_ms)
        hours = list(islice(wanted, HOURS_PER_STATEMENT))
        if not hours:
            break
        query = starts_query([country], hours, shards=shards, window=window, before=before, limit=limit + 1)
        page += _newest(cassandra.execute_many([query], deadline=deadline)[0], limit + 1, shards=shards)
        until_ms = hours[-1] - 1
    return page


class StartsByPart(NamedTuple):
    """The starts of each part of a window: of all countries that were asked for, and of some of them, largest first."""

    starts: list[int]
    of_countries: dict[str, list[int]]


@expensive_when_long
def starts_by_part(
    *,
    window: Window,
    begins: Sequence[int],
    now_ms: int,
    country: str | None,
    countries: int = 0,
    on_waiting: OnWaiting | None = None,
) -> StartsByPart:
    """Return the starts of the window in each part: from where it begins to where the next one does.

    ``begins`` ascend, are whole minutes, and end with the end of the last part. So many ``countries`` have parts of
    their own, those with most starts. Raises StoreError.
    """
    deadline = cassandra.deadline_from_now()
    by_minute = {domain.hour_of(begin) for begin in begins if begin % domain.HOUR_MS}
    counts = counted(
        window, now_ms=now_ms, country=country, deadline=deadline, on_waiting=on_waiting, by_minute=by_minute
    )
    starts = {country: number for country, row in counts.starts.items() if (number := sum(row))}
    largest = sorted(starts, key=lambda country: (-starts[country], country))[:countries]
    of_all = _in_parts(begins, _pieces(counts.hours, counts.of_hours(), counts.minutes, by_minute))
    return StartsByPart(of_all, {one: _of_country(one, counts, begins, by_minute) for one in largest})


def _of_country(country: str, counts: StartCounts, begins: Sequence[int], by_minute: Collection[int]) -> list[int]:
    hours = [(country, hour) for hour in by_minute if (country, hour) in counts.minutes]
    minutes = {one: counts.minutes[one] for one in hours}
    return _in_parts(begins, _pieces(counts.hours, counts.starts[country], minutes, by_minute))


def _in_parts(begins: Sequence[int], pieces: Iterable[tuple[int, int]]) -> list[int]:
    starts = [0] * len(begins)
    for moment, number in pieces:
        if number:
            starts[bisect_right(begins, moment) - 1] += number
    return starts[:-1]


def _pieces(
    hours: Sequence[int],
    starts: Sequence[int],
    minutes: Mapping[HourOfCountry, Sequence[int]],
    by_minute: Collection[int],
) -> Iterator[tuple[int, int]]:
    """Yield when each hour begins with its starts; in place of those that are cut, each of their minutes."""
    for hour, number in zip(hours, starts, strict=True):
        if hour not in by_minute:
            yield hour, number
    for (_, hour), row in minutes.items():
        for minute, number in enumerate(row):
            yield hour + minute * domain.MINUTE_MS, number


def counted(
    window: Window,
    *,
    now_ms: int,
    country: str | None,
    deadline: float,
    on_waiting: OnWaiting | None,
    by_minute: Collection[int] = (),
) -> StartCounts:
    """Return the counts of a window.

    ``on_waiting`` is called when they lack some late starts; without it they lack none.
    """
    counts = count_starts(
        window=window,
        now_ms=now_ms,
        country=country,
        deadline=deadline,
        all_late=on_waiting is None,
        by_minute=by_minute,
    )
    if counts.waiting and on_waiting:
        on_waiting(counts.waiting)
    return counts


def starts_query(
    countries: Sequence[str], hours: Collection[int], *, shards: int, window: Window, before: Position, limit: int
) -> Statement:
    """Return what asks for the newest ``limit`` starts of each hour and shard, in the window and ``before`` one."""
    return SELECT_STARTS, (countries, hours, range(shards), window.from_ms, *before, limit)


def _newest(rows: Iterable[Row], number: int, *, shards: int) -> list[Start]:
    """Return rows of several hours and shards as one list, newest first.

    Those of one shard and moment come in order, and the sort leaves them so.
    """
    starts = [Start(*row[1:]) for row in rows]
    starts.sort(key=attrgetter("ts_ms") if shards == 1 else lambda start: start.position.order(), reverse=True)
    return starts[:number]
