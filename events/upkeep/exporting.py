"""A player's own data: every row that names the player, in the JSON that Cassandra makes of it."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings

from events.domain import COUNTRY, START, Event
from events.erased_players import bucket_of
from events.upkeep.row_checks import right_place
from store import cassandra
from store.cassandra import Statement

ROWS_PER_PAGE = 1_000
# What a command may take to read the starts of a page. Whoever asks over HTTP waits no longer than for a report.
STARTS_SECONDS = 60.0

SELECT_SESSIONS = "SELECT JSON * FROM {keyspace}.session_by_player_id WHERE player_id = ?"
SELECT_COMPLETED = "SELECT JSON * FROM {keyspace}.completed_session_by_player_id WHERE player_id = ?"
SELECT_STARTED = """
    SELECT session_id, country, toUnixTimestamp(started_at) FROM {keyspace}.session_by_player_id WHERE player_id = ?"""
SELECT_START = """
    SELECT JSON * FROM {keyspace}.session_by_country
    WHERE country = ? AND hour = ? AND shard = ? AND ts = ? AND session_id = ?"""
SELECT_ENTRY = """
    SELECT JSON player_id, until, requested_at, requested_by, state FROM {keyspace}.erased_player
    WHERE bucket = ? AND player_id = ?"""

JsonRow = dict[str, Any]
# Country, hour, shard, ts, session_id.
StartKey = tuple[str, int, int, int, UUID]


def sessions_of(player_id: str) -> Iterator[JsonRow]:
    """Yield the player's rows of ``session_by_player_id``. Raises StoreError."""
    return _of_partition(SELECT_SESSIONS, player_id)


def ends_of(player_id: str) -> Iterator[JsonRow]:
    """Yield the player's rows of ``completed_session_by_player_id``. Raises StoreError."""
    return _of_partition(SELECT_COMPLETED, player_id)


def starts_of(player_id: str) -> Iterator[JsonRow]:
    """Yield the player's rows of ``session_by_country`` that the sessions tell of. Raises StoreError.

    A start that a later one of the same session superseded has a row as well, which only a reading of all starts finds.
    """
    for page in cassandra.read_pages(SELECT_STARTED, (player_id,), rows=ROWS_PER_PAGE):
        starts = [
            Event(START, player_id, session, started, country.upper())
            for session, country, started in page
            if started is not None and country is not None and COUNTRY.match(country)
        ]
        keys = [(*right_place(start), start.ts_ms, start.session_id) for start in starts]
        yield from starts_at(keys, player_id, seconds=settings.REPORT_SECONDS)


def starts_at(keys: list[StartKey], player_id: str, *, seconds: float) -> Iterator[JsonRow]:
    """Yield the rows of ``session_by_country`` at these keys that are the player's. Raises StoreError after this."""
    queries: list[Statement] = [(SELECT_START, key) for key in keys]
    for rows in cassandra.execute_many(queries, deadline=time.monotonic() + seconds, counting=True):
        yield from (row for (text,) in rows if (row := json.loads(text))["player_id"] == player_id)


def erasure_entry_of(player_id: str) -> Iterator[JsonRow]:
    """Yield the player's row of ``erased_player``, if there is one. Raises StoreError."""
    for (text,) in cassandra.execute(SELECT_ENTRY, (bucket_of(player_id), player_id)):
        yield json.loads(text)


def nothing_of(player_id: str) -> Iterator[JsonRow]:
    """Yield nothing: the table names no player."""
    return iter(())


def _of_partition(cql: str, player_id: str) -> Iterator[JsonRow]:
    for page in cassandra.read_pages(cql, (player_id,), rows=ROWS_PER_PAGE):
        yield from (json.loads(text) for (text,) in page)
