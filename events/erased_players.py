"""The list of erased players: what they did at or before a moment is discarded at every entry point.

Every process that stores events has the list in memory, at most MOST_SECONDS_OLD old. Sixteen small cells say which of
its partitions have changed. Without a list that is young enough nothing is stored: that is a StoreError, as when
Cassandra does not answer.
"""

import json
import logging
import math
import threading
import time
import zlib
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from events.late_writes import MICROSECONDS, Writer
from store import cassandra
from store.cassandra import Statement
from store.errors import StoreUnavailable

BUCKETS = 16
# After this age one request reads the list again, while others use the old one.
FRESH_SECONDS = 2.0
# How long that request may take for it.
QUICK_SECONDS = 0.3
# After this age no request uses the old one.
MOST_SECONDS_OLD = 5.0
# Before every moment.
NEVER_ERASED = -math.inf
# The lifetime of a note that a partition has changed: every process has read it by then.
CHANGE_SECONDS = 86_400

SELECT_CHANGES = "SELECT DISTINCT bucket, toJson(changes) FROM {keyspace}.erased_player WHERE bucket IN ?"
SELECT_ERASED = "SELECT player_id, toUnixTimestamp(until) FROM {keyspace}.erased_player WHERE bucket = ?"
NOTE_CHANGE = """
    UPDATE {keyspace}.erased_player USING TIMESTAMP ? AND TTL ? SET changes = changes + ? WHERE bucket = ?"""

log = logging.getLogger(__name__)
_writer = Writer()


def bucket_of(player_id: str) -> int:
    """Return the partition of a player."""
    return zlib.crc32(player_id.encode()) % BUCKETS


def change_of(player_id: str, *, now_ms: int) -> Statement:
    """Return the row that makes every process read the player's partition again; for the batch of the change."""
    name, version = _writer.next_version(now_ms)
    return NOTE_CHANGE, (version * MICROSECONDS, CHANGE_SECONDS, {name: version}, bucket_of(player_id))


class ErasedPlayers:
    """The list as one process knows it."""

    def __init__(self) -> None:
        self._until: dict[str, int] = {}
        self._changes: dict[int, Any] = {}
        self._read_at = -math.inf
        self._reading = threading.Lock()

    def until(self) -> Mapping[str, int]:
        """Return, for each erased player, the moment up to and including which events are discarded.

        Raises StoreError when it cannot be read and the last reading is too long ago.
        """
        age = time.monotonic() - self._read_at
        if age > MOST_SECONDS_OLD:
            self._read_now(seconds=settings.CASSANDRA_TIMEOUT_SECONDS)
        elif age > FRESH_SECONDS:
            self._read_if_quick()
        return self._until

    def _read_now(self, *, seconds: float) -> None:
        """Return once this thread or another one has read the list. Raises StoreUnavailable."""
        deadline = time.monotonic() + seconds
        if not self._reading.acquire(timeout=seconds):
            raise StoreUnavailable("Reading the list of erased players takes long.")
        try:
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                self._read(deadline)
        finally:
            self._reading.release()

    def _read_if_quick(self) -> None:
        """Read the list, unless another thread does; when that fails, the next request tries."""
        if self._reading.acquire(blocking=False):
            try:
                self._read(time.monotonic() + QUICK_SECONDS)
            except StoreUnavailable as error:
                log.info("The list of erased players could not be refreshed, and is tried again: %s", error)
            finally:
                self._reading.release()

    def _read(self, deadline: float) -> None:
        began = time.monotonic()
        query = (SELECT_CHANGES, ([*range(BUCKETS)],))
        [rows] = cassandra.execute_many([query], deadline=deadline, for_writes=True)
        changes = {bucket: json.loads(text) if text else None for bucket, text in rows}
        changed = [
            bucket for bucket in changes if bucket not in self._changes or changes[bucket] != self._changes[bucket]
        ]
        queries = [(SELECT_ERASED, (bucket,)) for bucket in changed]
        found = {
            player: until
            for of_bucket in cassandra.execute_many(queries, deadline=deadline, for_writes=True)
            for player, until in of_bucket
            if until is not None
        }
        # Replaced, not changed: others read it meanwhile.
        self._until = {**self._until, **found} if found else self._until
        self._changes = changes
        self._read_at = began


_list = ErasedPlayers()


def erased_until() -> Mapping[str, int]:
    """Return the list of this process, read anew where it must be. Raises StoreError."""
    return _list.until()


def forget() -> None:
    """Have the list read again before its next use; call it after a change."""
    global _list
    _list = ErasedPlayers()
