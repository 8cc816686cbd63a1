"""Rows that must come in pairs: a start in both tables of sessions, an end in both tables of players.

Looking up the counterpart of every row would cost a statement each. So the audit, which reads all rows anyway, XORs a
digest of each row into a bucket: two counterparts cancel out. Only rows in buckets that are not zero are looked up:
those without a counterpart, those that a later start or end of their session has superseded, those written meanwhile,
and others in the same buckets.
"""

from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID
from zlib import compress, decompress

from events.domain import COUNTRY, END, START, Event
from events.late_writes import MICROSECONDS
from events.models import CompletedSessionByPlayerId, SessionByCountry, SessionByPlayerId, Table
from events.rows import INSERT_ENDED, INSERT_STARTED
from events.upkeep.row_checks import Clock, Problem, right_place, start_of
from store.cassandra import Row, Statement

WITHOUT_SESSION = "start without its row in session_by_player_id"
WITHOUT_START = "start without its row in session_by_country"
WITHOUT_ORDER = "end without its row in completed_session_by_player_id"
WITHOUT_END = "end without its row in session_by_player_id"
SUPERSEDED_STARTS = "starts that a later start of the session superseded"
SUPERSEDED_ENDS = "ends that a later end of the session superseded"

# 2 MB for starts and 2 MB for ends. Every row that shares a bucket with a superseded row is looked up.
BUCKETS = 1 << 18
# An event that is about to expire may have only one row left.
EXPIRING_MS = 120_000

SELECT_SESSION = """
    SELECT toUnixTimestamp(started_at), toUnixTimestamp(ended_at), WRITETIME(started_at), WRITETIME(ended_at)
    FROM {keyspace}.session_by_player_id WHERE player_id = ? AND session_id = ?"""
SELECT_START = """
    SELECT player_id FROM {keyspace}.session_by_country
    WHERE country = ? AND hour = ? AND shard = ? AND ts = ? AND session_id = ?"""
SELECT_COMPLETED = """
    SELECT session_id FROM {keyspace}.completed_session_by_player_id
    WHERE player_id = ? AND ended_at = ? AND session_id = ?"""


class Buckets:
    """Sums (XOR) of digests of rows; a row with its counterpart adds its digest twice, which is nothing."""

    def __init__(self, packed: str = "") -> None:
        self._left = array("Q", decompress(b64decode(packed)) if packed else bytes(8 * BUCKETS))

    def packed(self) -> str:
        """Return it as text, for a checkpoint."""
        return b64encode(compress(self._left.tobytes(), 1)).decode()

    def add(self, event: Event) -> None:
        """Add the row of an event."""
        digest = _digest(event)
        self._left[digest % BUCKETS] ^= digest

    def is_empty(self) -> bool:
        """Return whether every row has its counterpart."""
        return not any(self._left)

    def is_left(self, event: Event) -> bool:
        """Return whether the bucket of the event is not zero."""
        return self._left[_digest(event) % BUCKETS] != 0


def _digest(event: Event) -> int:
    text = f"{event.player_id} {event.session_id.int} {event.ts_ms} {event.country}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class Question(NamedTuple):
    """An event of which one row was read, the statement that looks up the other, and the check of its answer."""

    event: Event
    statement: Statement
    check: Callable[[Event, Sequence[Row], Clock], "Problem | str | None"]

    def answered(self, rows: Sequence[Row], clock: Clock) -> "Problem | str | None":
        """Return what is wrong, or else the name under which the row is counted, if any."""
        return self.check(self.event, rows, clock)


def events_of(table: Table, row: Row) -> list[Event]:
    """Return the events whose rows must have a counterpart in another table."""
    if table is SessionByCountry:
        event = start_of(row)
        return [event] if event else []
    if table is CompletedSessionByPlayerId:
        player, ended, session = row
        return [Event(END, player, session, ended, None)]
    if table is SessionByPlayerId:
        return _events_of_session(*row[:5])
    return []


def _events_of_session(
    player: str, session: UUID, country: str | None, started: int | None, ended: int | None
) -> list[Event]:
    events = []
    if started is not None and country is not None and COUNTRY.match(country):
        events.append(Event(START, player, session, started, country.upper()))
    if ended is not None:
        events.append(Event(END, player, session, ended, None))
    return events


def question(table: Table, event: Event) -> Question:
    """Return how to ask for the counterpart of the row that a table has of an event."""
    player, session, ts = event.player_id, event.session_id, event.ts_ms
    if table is SessionByCountry:
        return Question(event, (SELECT_SESSION, (player, session)), _check_start)
    if table is CompletedSessionByPlayerId:
        return Question(event, (SELECT_SESSION, (player, session)), _check_completed)
    if event.kind == START:
        return Question(event, (SELECT_START, (*right_place(event), ts, session)), _check_started)
    return Question(event, (SELECT_COMPLETED, (player, ts, session)), _check_ended)


def _check_start(event: Event, rows: Sequence[Row], clock: Clock) -> Problem | str | None:
    started, _, written, _ = rows[0] if rows else (None,) * 4
    if started is None or started < event.ts_ms:
        # An older start that another tool wrote later hides this one.
        values = (event.player_id, event.session_id, event.ts_ms, event.country)
        return Problem(WITHOUT_SESSION, _above(event, written, INSERT_STARTED, values, clock), [event])
    return SUPERSEDED_STARTS if started > event.ts_ms else None


def _check_completed(event: Event, rows: Sequence[Row], clock: Clock) -> Problem | str | None:
    _, ended, _, written = rows[0] if rows else (None,) * 4
    if ended is None or ended < event.ts_ms:
        values = (event.player_id, event.session_id, event.ts_ms)
        return Problem(WITHOUT_END, _above(event, written, INSERT_ENDED, values, clock), [event])
    return SUPERSEDED_ENDS if ended > event.ts_ms else None


def _above(
    event: Event, written: int | None, cql: str, values: tuple[object, ...], clock: Clock
) -> Sequence[Statement]:
    """Return the statement that overwrites what another tool wrote after the event, if it did."""
    if written is None or written < event.ts_ms * MICROSECONDS:
        return []
    return [(cql, (*values, written + 1, clock.ttl(event.ts_ms)))]


def _check_started(event: Event, rows: Sequence[Row], clock: Clock) -> Problem | str | None:
    return None if rows else Problem(WITHOUT_START, events=[event])


def _check_ended(event: Event, rows: Sequence[Row], clock: Clock) -> Problem | str | None:
    return None if rows else Problem(WITHOUT_ORDER, events=[event])
