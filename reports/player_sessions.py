"""Sessions of a player: completed, open or all, newest first, and which of them overlap."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from django.core.cache import caches

from events.clock import latest_moment_ms, retention_cutoff_ms
from reports.expensive import expensive
from reports.overlaps import Interval, overlapping
from reports.positions import NO_SESSION, Position
from store import cassandra
from store.cassandra import Row

SELECT_COMPLETED = """
    SELECT toUnixTimestamp(ended_at), session_id FROM {keyspace}.completed_session_by_player_id
    WHERE player_id = ? AND (ended_at) > (?) AND (ended_at, session_id) < (?, ?) LIMIT ?"""
SELECT_SESSIONS = """
    SELECT session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at)
    FROM {keyspace}.session_by_player_id WHERE player_id = ? AND session_id IN ?"""
SELECT_ALL_SESSIONS = """
    SELECT session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at)
    FROM {keyspace}.session_by_player_id WHERE player_id = ? LIMIT ?"""
SELECT_MORE_SESSIONS = """
    SELECT session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at)
    FROM {keyspace}.session_by_player_id WHERE player_id = ? AND session_id > ? LIMIT ?"""
# Which sessions are open, and which overlap, is found by reading all sessions of the player. A hundred a day for a year
# are 36,525; benchmarks/RESULTS.md says what reading them costs.
MOST_SESSIONS = 40_000
# Of a player with so few, reading all of them is cheaper than the newest ends first and then their sessions.
FEW_SESSIONS = 100
# Of one with more: the rows of one answer are decoded in one go, in which nothing else of the process can work. 40,000
# take 95 ms, these 5.
SESSIONS_AT_A_TIME = 2_000
# A player who has too many sessions has so until some of a year ago have expired.
TOO_MANY_REMEMBERED_SECONDS = 600
# A session may have many ends, of which only the latest counts. When some of those that were asked for are not, so many
# more are: asked for one at a time they would take for ever.
MORE_ENDS = 100

COMPLETED: Literal["completed"] = "completed"
OPEN: Literal["open"] = "open"
ALL: Literal["all"] = "all"
State = Literal["completed", "open", "all"]


class TooManySessions(Exception):
    """The player has more than MOST_SESSIONS sessions."""


class Session(NamedTuple):
    """A session of a player. What only its start knows is None until the start has come; likewise its end."""

    session_id: uuid.UUID
    country: str | None
    started_ms: int | None
    ended_ms: int | None
    # Whether it shares a moment with another session of the player; None: not asked, or not known.
    overlaps: bool | None = None

    @property
    def ended_before_start(self) -> bool:
        """Its latest end is before its latest start: the id was used again, or a clock was wrong. Rows do not tell."""
        return self.started_ms is not None and self.ended_ms is not None and self.ended_ms < self.started_ms

    @property
    def is_open(self) -> bool:
        """It has started and not ended since."""
        return self.ended_ms is None or self.ended_before_start

    @property
    def duration_ms(self) -> int | None:
        """From the latest start to the latest end; None where one of them has not come, or the end was before."""
        if self.started_ms is None or self.ended_ms is None or self.ended_before_start:
            return None
        return self.ended_ms - self.started_ms

    @property
    def end_position(self) -> Position:
        """Its place in the order of ends. Only of one that has ended."""
        return Position(self.ended_ms or 0, self.session_id)

    @property
    def start_position(self) -> Position:
        """Its place in the order of starts; where the start has not come, the end stands for it."""
        return Position(self.started_ms or self.ended_ms or 0, self.session_id)


def completed_sessions(
    *, player_id: str, now_ms: int, limit: int, after: Position | None = None
) -> tuple[list[Session], Position | None]:
    """Return a page of the player's completed sessions, newest end first, and where the next page begins, if any.

    Raises StoreError.
    """
    deadline = cassandra.deadline_from_now()
    few = _first_sessions(player_id, deadline=deadline)
    if len(few) <= FEW_SESSIONS:
        return _page_by_end(_young(few, now_ms=now_ms), now_ms=now_ms, limit=limit, after=after)
    return _newest_ends(player_id, now_ms=now_ms, limit=limit, after=after, deadline=deadline)


def player_sessions(
    *, player_id: str, state: State, overlaps: bool, now_ms: int, limit: int, after: Position | None = None
) -> tuple[list[Session], Position | None]:
    """Return a page of the player's sessions in this state, each with whether it overlaps another of any state.

    Completed ones as ``completed_sessions``, and without ``overlaps`` as cheap; open and all newest start first, where
    a missing start is replaced by the end: so an end that comes during a walk over the pages moves no session to
    another place. Of a player with more than MOST_SESSIONS the overlaps are not known. Raises StoreError,
    TooManyExpensiveReports, and TooManySessions for open and all.
    """
    if state == COMPLETED and not overlaps:
        return completed_sessions(player_id=player_id, now_ms=now_ms, limit=limit, after=after)
    deadline = cassandra.deadline_from_now()
    first = _first_sessions(player_id, deadline=deadline)
    if len(first) <= FEW_SESSIONS:
        return _page_of_all(first, state=state, now_ms=now_ms, limit=limit, after=after)
    if not _is_known_for_too_many(player_id):
        with expensive():
            every = _every_session(player_id, first, deadline=deadline)
            if len(every) <= MOST_SESSIONS:
                return _page_of_all(every, state=state, now_ms=now_ms, limit=limit, after=after)
            _remember_too_many(player_id)
    if state != COMPLETED:
        raise TooManySessions
    return _newest_ends(player_id, now_ms=now_ms, limit=limit, after=after, deadline=deadline)


def _newest_ends(
    player_id: str, *, now_ms: int, limit: int, after: Position | None, deadline: float
) -> tuple[list[Session], Position | None]:
    """Return a page of the completed sessions of a player with many, as ``completed_sessions`` gives it."""
    behind = after or Position(latest_moment_ms(now_ms) + 1, NO_SESSION)
    page: list[Session] = []
    asked = limit + 1
    while len(page) <= limit:
        query = (SELECT_COMPLETED, (player_id, retention_cutoff_ms(now_ms), *behind, asked))
        ends = [Position(*row) for row in cassandra.execute_many([query], deadline=deadline)[0]]
        page += _sessions_ending_at(ends, player_id=player_id, deadline=deadline)
        if len(ends) < asked:
            break
        behind, asked = ends[-1], MORE_ENDS
    more = len(page) > limit
    return page[:limit], page[limit - 1].end_position if more else None


def _page_of_all(
    rows: Iterable[Row], *, state: State, now_ms: int, limit: int, after: Position | None
) -> tuple[list[Session], Position | None]:
    """Return, of all sessions of a player, a page as ``player_sessions`` does."""
    sessions = _young(rows, now_ms=now_ms)
    if state == COMPLETED:
        page, end = _page_by_end(sessions, now_ms=now_ms, limit=limit, after=after)
    else:
        in_state = [session for session in sessions if state == ALL or session.is_open]
        page, end = _page(in_state, position=lambda session: session.start_position, limit=limit, after=after)
    shared = overlapping(_intervals(sessions, now_ms=now_ms))
    return [session._replace(overlaps=session.session_id in shared) for session in page], end


def _first_sessions(player_id: str, *, deadline: float) -> list[Row]:
    """Return the sessions of the player, by session; of one with more than FEW_SESSIONS only one more than these."""
    query = (SELECT_ALL_SESSIONS, (player_id, FEW_SESSIONS + 1))
    return cassandra.execute_many([query], deadline=deadline)[0]


def _every_session(player_id: str, first: Sequence[Row], *, deadline: float) -> list[Row]:
    """Return the ``first`` sessions of the player and all behind them, until there are more than MOST_SESSIONS."""
    rows = [*first]
    more: Sequence[Row] = first
    while more and len(rows) <= MOST_SESSIONS:
        query = (SELECT_MORE_SESSIONS, (player_id, rows[-1][0], SESSIONS_AT_A_TIME))
        more = cassandra.execute_many([query], deadline=deadline)[0]
        rows += more
    return rows


def _young(rows: Iterable[Row], *, now_ms: int) -> list[Session]:
    """Return the sessions that are younger than the retention."""
    cutoff = retention_cutoff_ms(now_ms)
    sessions = (Session(*row) for row in rows)
    return [session for session in sessions if max(session.started_ms or 0, session.ended_ms or 0) > cutoff]


def _is_known_for_too_many(player_id: str) -> bool:
    """Return whether the player had more than MOST_SESSIONS a short while ago: finding out reads as many."""
    return caches["default"].get(f"too_many_sessions.{player_id}") is not None


def _remember_too_many(player_id: str) -> None:
    caches["default"].set(f"too_many_sessions.{player_id}", True, timeout=TOO_MANY_REMEMBERED_SECONDS)


def _page_by_end(
    sessions: Sequence[Session], *, now_ms: int, limit: int, after: Position | None
) -> tuple[list[Session], Position | None]:
    """Return, of all sessions of a player, a page of the completed ones as ``completed_sessions`` does."""
    cutoff, latest = retention_cutoff_ms(now_ms), latest_moment_ms(now_ms)
    completed = [
        session for session in sessions if session.ended_ms is not None and cutoff < session.ended_ms <= latest
    ]
    return _page(completed, position=lambda session: session.end_position, limit=limit, after=after)


def _page(
    sessions: Sequence[Session], *, position: Callable[[Session], Position], limit: int, after: Position | None
) -> tuple[list[Session], Position | None]:
    """Return the newest ``limit`` behind ``after``, and where the next page begins, if any.

    The sessions come as Cassandra has them, by session, and the sort leaves those of one moment so.
    """
    if after is not None:
        sessions = [session for session in sessions if _is_behind(position(session), after)]
    ordered = sorted(sessions, key=lambda session: position(session).ts_ms)[::-1]
    return ordered[:limit], position(ordered[limit - 1]) if len(ordered) > limit else None


def _is_behind(position: Position, other: Position) -> bool:
    """Return what ``order`` tells; what it takes is made only of those of the same moment."""
    return position.ts_ms < other.ts_ms or (position.ts_ms == other.ts_ms and position.order() < other.order())


def _intervals(sessions: Iterable[Session], *, now_ms: int) -> Iterator[Interval]:
    """Yield the time from each start up to but not including the end; an open one lasts until ``now_ms``."""
    for session in sessions:
        if session.started_ms is not None:
            ended_ms = now_ms if session.ended_ms is None or session.is_open else session.ended_ms
            yield Interval(session.started_ms, ended_ms, session.session_id)


def _sessions_ending_at(ends: Sequence[Position], *, player_id: str, deadline: float) -> list[Session]:
    """Return the sessions of these ends, in their order, without those that have a later end."""
    if not ends:
        return []
    query = (SELECT_SESSIONS, (player_id, [end.session_id for end in ends]))
    rows = cassandra.execute_many([query], deadline=deadline)[0]
    sessions = {row[0]: Session(*row) for row in rows}
    return [
        session
        for end in ends
        if (session := sessions.get(end.session_id)) is not None and session.ended_ms == end.ts_ms
    ]
