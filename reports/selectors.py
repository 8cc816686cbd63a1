"""One function per report: which partitions it reads, and which rows come of them."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from django.conf import settings

from events import domain
from events.counts import count_starts
from events.domain import Window
from sessions_project import cassandra
from sessions_project.cassandra import Statement

# PER PARTITION LIMIT: of each hour and shard its newest rows. The upper end is exclusive and a pair, so that the same
# statement begins a walk at the window's end and continues it behind a row.
SELECT_STARTS = """
    SELECT toUnixTimestamp(ts), session_id, player_id FROM {keyspace}.session_by_country
    WHERE country = ? AND hour IN ? AND shard IN ? AND (ts) > (?) AND (ts, session_id) < (?, ?)
    PER PARTITION LIMIT ?"""
SELECT_COMPLETED = """
    SELECT toUnixTimestamp(ended_at), session_id FROM {keyspace}.completed_session_by_player_id
    WHERE player_id = ? AND (ended_at) > (?) AND (ended_at, session_id) < (?, ?) LIMIT ?"""
SELECT_SESSIONS = """
    SELECT session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at)
    FROM {keyspace}.session_by_player_id WHERE player_id = ? AND session_id IN ?"""

# Hours read by one statement; each may hold a full page.
HOURS_PER_STATEMENT = 48
# The smallest UUID in Cassandra's order.
NO_SESSION = uuid.UUID(int=0)


class Position(NamedTuple):
    """A place in a list that runs from new to old: everything behind it is older."""

    ts_ms: int
    session_id: uuid.UUID

    def order(self) -> tuple[int, int, int, int]:
        """A key that sorts as Cassandra does: UUIDs by version, time-based ones by their time, then by their bytes."""
        session = self.session_id
        version = (session.int >> 76) & 0xF
        return self.ts_ms, version, session.time if version == 1 else 0, session.int


class Start(NamedTuple):
    """A session that started."""

    ts_ms: int
    session_id: uuid.UUID
    player_id: str

    @property
    def position(self) -> Position:
        return Position(self.ts_ms, self.session_id)


class CompletedSession(NamedTuple):
    """A session that has ended; what only its start knows is None until the start has come."""

    session_id: uuid.UUID
    country: str | None
    started_ms: int | None
    ended_ms: int

    @property
    def position(self) -> Position:
        return Position(self.ended_ms, self.session_id)


@dataclass(frozen=True, slots=True)
class CountryStarts:
    """All starts of one country in a window as a number, and the newest as rows."""

    country: str
    starts: int
    newest: Sequence[Start]


def report_window(*, hours: int, as_of_ms: int, now_ms: int) -> Window:
    """The last ``hours`` before ``as_of_ms``, less what is older than the retention."""
    oldest = now_ms - settings.RETENTION_SECONDS * domain.SECOND_MS
    return Window(max(as_of_ms - hours * domain.HOUR_MS, oldest), max(as_of_ms, oldest))


def starts_by_country(*, window: Window, now_ms: int, newest: int) -> list[CountryStarts]:
    """Every country with starts in the window, most starts first, each with its ``newest`` newest.

    Raises StoreUnavailable.
    """
    deadline = cassandra.deadline_from_now()
    counts = count_starts(window=window, now_ms=now_ms, deadline=deadline)
    starts = {country: number for country, row in counts.starts.items() if (number := sum(row))}
    rows_of: dict[str, list[Start]] = {country: [] for country in starts}
    if newest:
        end = Position(window.to_ms + 1, NO_SESSION)
        queries = [
            _starts_query(
                country,
                list(counts.newest_hours(country, number=newest, until_ms=window.to_ms)),
                shards=counts.shards[country],
                window=window,
                before=end,
                limit=newest,
            )
            for country in starts
        ]
        answers = cassandra.execute_many(queries, deadline=deadline)
        rows_of = {country: _newest(rows, newest) for country, rows in zip(starts, answers, strict=True)}
    report = [CountryStarts(country, number, rows_of[country]) for country, number in starts.items()]
    return sorted(report, key=lambda one: (-one.starts, one.country))


def starts_of_country(
    *, country: str, window: Window, now_ms: int, limit: int, after: Position | None = None
) -> tuple[int, list[Start], Position | None]:
    """The number of starts in the window, one page of them, newest first, and where the next page begins, if any.

    Raises StoreUnavailable.
    """
    deadline = cassandra.deadline_from_now()
    counts = count_starts(window=window, now_ms=now_ms, country=country, deadline=deadline)
    before = after or Position(window.to_ms + 1, NO_SESSION)
    page: list[Start] = []
    until_ms = before.ts_ms
    while len(page) <= limit:
        # The hour that the walk stands in may hold fewer rows than it counts: then another round follows.
        wanted = counts.newest_hours(country, number=limit + 1 - len(page), until_ms=until_ms)
        hours = list(islice(wanted, HOURS_PER_STATEMENT))
        if not hours:
            break
        query = _starts_query(
            country, hours, shards=counts.shards[country], window=window, before=before, limit=limit + 1
        )
        page += _newest(cassandra.execute_many([query], deadline=deadline)[0], limit + 1)
        until_ms = hours[-1] - 1
    more = len(page) > limit
    return sum(counts.starts.get(country, [])), page[:limit], page[limit - 1].position if more else None


def starts_by_hour(*, window: Window, now_ms: int, country: str | None) -> list[tuple[int, int]]:
    """Every hour of the window, oldest first, with its number of starts, zeros included. Raises StoreUnavailable."""
    deadline = cassandra.deadline_from_now()
    counts = count_starts(window=window, now_ms=now_ms, country=country, deadline=deadline)
    return list(zip(counts.hours, counts.of_hours(), strict=True))


def completed_sessions(
    *, player_id: str, now_ms: int, limit: int, after: Position | None = None
) -> tuple[list[CompletedSession], Position | None]:
    """One page of the player's completed sessions, newest end first, and where the next page begins, if any.

    Raises StoreUnavailable.
    """
    deadline = cassandra.deadline_from_now()
    oldest = now_ms - settings.RETENTION_SECONDS * domain.SECOND_MS
    behind = after or Position(now_ms + settings.FUTURE_TOLERANCE_SECONDS * domain.SECOND_MS + 1, NO_SESSION)
    page: list[CompletedSession] = []
    while len(page) <= limit:
        asked = limit + 1 - len(page)
        query = (SELECT_COMPLETED, (player_id, oldest, *behind, asked))
        ends = [Position(*row) for row in cassandra.execute_many([query], deadline=deadline)[0]]
        page += _sessions_ending_at(ends, player_id=player_id, deadline=deadline)
        if len(ends) < asked:
            break
        behind = ends[-1]
    more = len(page) > limit
    return page[:limit], page[limit - 1].position if more else None


def _sessions_ending_at(ends: Sequence[Position], *, player_id: str, deadline: float) -> list[CompletedSession]:
    """The sessions of these ends, in their order, without those that have a later end."""
    if not ends:
        return []
    query = (SELECT_SESSIONS, (player_id, [end.session_id for end in ends]))
    rows = cassandra.execute_many([query], deadline=deadline)[0]
    sessions = {row[0]: CompletedSession(*row) for row in rows}
    return [
        session
        for end in ends
        if (session := sessions.get(end.session_id)) is not None and session.ended_ms == end.ts_ms
    ]


def _starts_query(
    country: str, hours: Sequence[int], *, shards: int, window: Window, before: Position, limit: int
) -> Statement:
    return SELECT_STARTS, (country, hours, range(shards), window.from_ms, *before, limit)


def _newest(rows: Iterable[Sequence[object]], number: int) -> list[Start]:
    """Rows of several hours and shards as one list, newest first."""
    starts = [Start(*row) for row in rows]  # type: ignore[arg-type]  # the columns of SELECT_STARTS
    return sorted(starts, key=lambda start: start.position.order(), reverse=True)[:number]
