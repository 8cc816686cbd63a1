"""Erasing a player: what happened at or before a moment is deleted, and does not come back.

First the player is put on the list, which every entry point obeys; then everything that the player's own partitions
refer to is deleted at once. They do not refer to a start that another start of its session has superseded, nor to a
write in flight: ``ErasurePass`` finds these by one reading of the tables for all pending erasures. Every audit does the
same again, for all players on the list.
"""

import hmac
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from django.conf import settings

from events import erased_players, late_writes
from events.clock import latest_moment_ms, wall_clock_ms
from events.domain import CLOCKS_APART_MS, IN_FLIGHT_MS, SECOND_MS, Event, hour_of
from events.erased_players import BUCKETS, MOST_SECONDS_OLD, bucket_of, change_of
from events.late_writes import MICROSECONDS, Cell
from events.models import CompletedSessionByPlayerId, SessionByCountry, SessionByPlayerId, Table
from events.rows import shards_of
from events.upkeep.exporting import STARTS_SECONDS
from events.upkeep.pairs import events_of
from events.upkeep.row_checks import DELETE_START, Clock, right_place
from events.upkeep.tables import UPKEEP
from events.upkeep.walk import Progress, Stopped, TableRange, Walk, ranges_of
from events.upkeep.writing import execute, execute_and_recount
from store import cassandra
from store.cassandra import Row, Statement

log = logging.getLogger(__name__)

PENDING, DONE = "pending", "done"
# For how long a process may not know of an entry of the list, plus a write in flight, plus clocks apart.
DUE_AFTER_MS = int(MOST_SECONDS_OLD * SECOND_MS) + IN_FLIGHT_MS + CLOCKS_APART_MS
# How many sessions a request deletes at once; the pass deletes those of a player with more.
MOST_SESSIONS_AT_ONCE = 1_000
# Ids that clients with a bug send for everybody: erasing one erases sessions of many.
NOBODY = frozenset({"null", "nil", "none", "undefined", "unknown", "anonymous", "guest", "nan", "0", "-1"})
NIL_DIGITS = {"0", "-"}
# Tables whose rows name players.
NAMING = (SessionByCountry, SessionByPlayerId, CompletedSessionByPlayerId)

INSERT_REQUEST = """
    INSERT INTO {keyspace}.erased_player (bucket, player_id, until, requested_at, requested_by, state)
    VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"""
UPDATE_STATE = """
    UPDATE {keyspace}.erased_player USING TIMESTAMP ? SET state = ? WHERE bucket = ? AND player_id = ?"""
SELECT_REQUESTS = """
    SELECT player_id, toUnixTimestamp(until), toUnixTimestamp(requested_at), requested_by, state
    FROM {keyspace}.erased_player WHERE bucket = ?"""
SELECT_REQUEST = f"{SELECT_REQUESTS} AND player_id = ?"
SELECT_START = """
    SELECT player_id, WRITETIME(player_id) FROM {keyspace}.session_by_country
    WHERE country = ? AND hour = ? AND shard = ? AND ts = ? AND session_id = ?"""
DELETE_SESSIONS = "DELETE FROM {keyspace}.session_by_player_id USING TIMESTAMP ? WHERE player_id = ?"
DELETE_ORDER = "DELETE FROM {keyspace}.completed_session_by_player_id USING TIMESTAMP ? WHERE player_id = ?"


class Erasure(NamedTuple):
    """A request to erase everything that the player did at or before ``until_ms``."""

    player_id: str
    until_ms: int
    requested_at_ms: int
    requested_by: str
    state: str

    @property
    def due_ms(self) -> int:
        """The moment from which on every writer knows of the request."""
        return self.requested_at_ms + DUE_AFTER_MS


def stands_for_nobody(player_id: str) -> bool:
    """Return whether an id is one of those that clients send when they have none."""
    return player_id.lower() in NOBODY or set(player_id) <= NIL_DIGITS


def request_erasure(player_id: str, *, requested_by: str, until_ms: int | None = None) -> Erasure:
    """Put a player on the list, and return the entry, which has the latest ``until`` of all requests.

    Without ``until_ms`` it is the latest moment that a stored event may have: as far after now as is tolerated. Raises
    StoreError.
    """
    now_ms = wall_clock_ms()
    until_ms = latest_moment_ms(now_ms) if until_ms is None else until_ms
    row = (bucket_of(player_id), player_id, until_ms, now_ms, requested_by, PENDING, until_ms * MICROSECONDS)
    statements = [(INSERT_REQUEST, row), change_of(player_id, now_ms=now_ms)]
    cassandra.execute_batch(statements, seconds=settings.CASSANDRA_TIMEOUT_SECONDS)
    erased_players.forget()
    erasure = erasure_of(player_id)
    assert erasure is not None
    return erasure


def erasure_of(player_id: str) -> Erasure | None:
    """Return the erasure of a player, None if there was no request. Raises StoreError."""
    rows = cassandra.execute(SELECT_REQUEST, (bucket_of(player_id), player_id))
    return Erasure(*rows[0]) if rows and rows[0][1] is not None else None


def erasures() -> list[Erasure]:
    """Return the whole list. Raises StoreError."""
    queries = [(SELECT_REQUESTS, (bucket,)) for bucket in range(BUCKETS)]
    answers = cassandra.execute_many(queries, deadline=cassandra.deadline_from_now())
    return [Erasure(*row) for rows in answers for row in rows if row[1] is not None]


def pending_erasures() -> list[Erasure]:
    """Return the erasures that are not done. Raises StoreError."""
    return [one for one in erasures() if one.state != DONE]


def erase_known(erasure: Erasure, *, most_sessions: int | None = None, seconds: float = STARTS_SECONDS) -> int:
    """Delete what the player's partitions refer to, and return the number of rows. Raises StoreError.

    For a player with more than ``most_sessions`` it deletes nothing and returns 0. Reading the starts of
    MOST_SESSIONS_AT_ONCE sessions may take ``seconds``.
    """
    clock = Clock(wall_clock_ms(), {erasure.player_id: erasure.until_ms})
    pages: Iterable[list[Row]] = _rows_of_player(SessionByPlayerId, erasure.player_id)
    if most_sessions is not None:
        sessions = [*islice(chain.from_iterable(pages), most_sessions + 1)]
        if len(sessions) > most_sessions:
            return 0
        pages = [sessions]
    # The starts first: if this ends half-way, the partitions still refer to them.
    number = sum(_delete_starts_of(page, clock, seconds=seconds) for page in pages)
    number += sum(
        clock.is_erased(erasure.player_id, ended)
        for page in _rows_of_player(CompletedSessionByPlayerId, erasure.player_id)
        for _, ended, _ in page
    )
    latest = clock.erased_us(erasure.player_id)
    execute([(cql, (latest, erasure.player_id)) for cql in (DELETE_SESSIONS, DELETE_ORDER)])
    _delete_what_others_wrote(erasure.player_id, clock)
    log_erased(erasure, number)
    return number


def finish(erasure: Erasure) -> None:
    """Erase once more what the player's partitions refer to, then set the state to done. Raises StoreError."""
    erase_known(erasure)
    key = (bucket_of(erasure.player_id), erasure.player_id)
    execute([(UPDATE_STATE, (erasure.until_ms * MICROSECONDS + 1, DONE, *key))])


def _delete_starts_of(sessions: Sequence[Row], clock: Clock, *, seconds: float) -> int:
    """Delete the starts of a player's sessions, and return how many rows go, with those of the sessions."""
    events = [event for row in sessions for event in events_of(SessionByPlayerId, row)]
    starts = [event for event in events if event.country and clock.is_erased(event.player_id, event.ts_ms)]
    erased = sum(1 for row in sessions if any(UPKEEP[SessionByPlayerId].erased(row, clock)))
    return erased + _delete_starts(starts, clock, seconds=seconds)


def _delete_starts(starts: list[Event], clock: Clock, *, seconds: float) -> int:
    """Delete the rows of these starts by country where they are the player's, and have their minutes counted again."""
    queries = [(SELECT_START, (*right_place(start), start.ts_ms, start.session_id)) for start in starts]
    answers = cassandra.execute_many(queries, deadline=time.monotonic() + seconds, counting=True)
    deletions: list[Statement] = []
    cells: list[Cell] = []
    for start, rows in zip(starts, answers, strict=True):
        for player, written in rows:
            if player == start.player_id:
                at = max(clock.erased_us(player), written)
                deletions.append((DELETE_START, (at, *right_place(start), start.ts_ms, start.session_id)))
                shards = shards_of(start.country, hour_of(start.ts_ms))
                cells.append(late_writes.cell_of(start.country or "", start.ts_ms, shards=shards))
    execute_and_recount(deletions, cells)
    return len(deletions)


def _delete_what_others_wrote(player_id: str, clock: Clock) -> None:
    """Delete, one by one, rows with a write timestamp after their event: those of another tool."""
    for table in (SessionByPlayerId, CompletedSessionByPlayerId):
        for page in _rows_of_player(table, player_id):
            problems = [problem for row in page for problem in UPKEEP[table].erased(row, clock)]
            execute([statement for problem in problems for statement in problem.statements])


def _rows_of_player(table: Table, player_id: str) -> Iterator[list[Row]]:
    """Return the rows of a partition in pages, with the columns that the audit reads."""
    cql = UPKEEP[table].audited[-1].cql_of_partition(table)
    return cassandra.read_pages(cql, (player_id,), rows=MOST_SESSIONS_AT_ONCE)


class ErasurePass(Walk):
    """One reading of the tables that name players, for all pending erasures, whose state is then ``done``.

    It reads at most ``most_rows`` a second. Erasures that are not due yet wait for the next pass.
    """

    def __init__(
        self,
        waiting: Collection[Erasure],
        *,
        most_rows: int,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        super().__init__(most_rows=most_rows, on_progress=on_progress)
        now_ms = wall_clock_ms()
        self.waiting = [one for one in waiting if one.due_ms <= now_ms]
        self._until = {one.player_id: one.until_ms for one in self.waiting}
        self._units = [unit for table in NAMING for unit in ranges_of(table)]
        self._done = 0
        self._rows = 0
        self.deleted: Counter[str] = Counter()

    def run(self) -> bool:
        """Delete everything; return whether the end was reached. Raises StatementRejected."""
        try:
            while self._done < len(self._units) and not self.stop_requested:
                self._erase_range(self._units[self._done])
                self._done += 1
            if self.stop_requested:
                return False
            for erasure in self.waiting:
                self._patiently(lambda erasure=erasure: finish(erasure))  # type: ignore[misc]
                log_erased(erasure, self.deleted[erasure.player_id])
        except Stopped:
            return False
        return True

    def _erase_range(self, unit: TableRange) -> None:
        upkeep = UPKEEP[unit.table]
        for rows, clock in self._pages(upkeep.audited[-1], unit.table, after=unit.after, until=unit.until):
            self._rows += len(rows)
            self._erase(unit.table, rows, Clock(clock.now_ms, self._until))

    def _erase(self, table: Table, rows: Iterable[Row], clock: Clock) -> None:
        found = [(row, problem) for row in rows for problem in UPKEEP[table].erased(row, clock)]
        statements = [statement for _, problem in found for statement in problem.statements]
        cells = [problem.cell for _, problem in found if problem.cell]
        if found:
            self._patiently(lambda: execute_and_recount(statements, cells))
        player_at = 5 if table is SessionByCountry else 0  # where the audit reads it
        self.deleted.update(row[player_at] for row, _ in found)

    def _progress(self) -> Progress:
        unit = self._units[min(self._done, len(self._units) - 1)]
        return Progress(unit, self._done, len(self._units), self._rows)


def log_erased(erasure: Erasure, rows: int) -> None:
    """Log an erasure with a keyed hash of the id, which only the owner of the key can compute."""
    log.info("Erased %d rows of the player %s, asked for by %s", rows, hashed(erasure.player_id), erasure.requested_by)


def hashed(player_id: str) -> str:
    """Return what the log has in place of a player's id."""
    return hmac.new(settings.SECRET_KEY.encode(), player_id.encode(), "sha256").hexdigest()[:16]
