"""The write path of both entry points, HTTP and import: store events, whole or not at all."""

import time
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import and_

from django.conf import settings

from events import erased_players, late_writes
from events.clock import oldest_kept_ms, wall_clock_ms
from events.commits import commits
from events.domain import Event
from events.erased_players import NEVER_ERASED
from events.late_writes import LATE_MS
from events.rows import HourIndexEntry, event_rows, index_entries, index_rows, late_cells, late_rows
from store.cassandra import LEAST_SECONDS

# The entries that this process has seen become durable. About 100 bytes each: 10 MB at most.
MOST_REMEMBERED_ENTRIES = 100_000
_known_entries: set[HourIndexEntry] = set()


def record_events(events: Sequence[Event], *, now_ms: int, began_ms: int | None = None) -> list[bool]:
    """Store the events, whole or not at all; for each, True: durable, False: too old or of an erased player, discarded.

    ``began_ms`` is when the clock showed ``now_ms``, if that was before this call. Returns once the batch is durable at
    LOCAL_QUORUM. Recording the same events again leaves the same rows.
    Raises StoreError: nothing is known to be stored, and recording again is safe.
    """
    began_ms = wall_clock_ms() if began_ms is None else began_ms
    until = time.monotonic() + settings.CASSANDRA_TIMEOUT_SECONDS
    is_kept = _is_kept(events, now_ms=now_ms)
    kept = list(compress(events, is_kept))
    if kept:
        new_entries_of_batch = new_entries(index_entries(kept))
        late = late_cells(kept, now_ms=now_ms)
        statements = event_rows(kept, now_ms=now_ms)
        statements += index_rows(new_entries_of_batch, now_ms=now_ms)
        statements += late_rows(late, now_ms=now_ms)
        commits.write(statements, seconds=max(until - time.monotonic(), LEAST_SECONDS))
        remember_entries(new_entries_of_batch)
        if late:
            late_writes.announce(late, now_ms=now_ms, seconds=until - time.monotonic())
        took_ms = wall_clock_ms() - began_ms
        if took_ms > LATE_MS:
            return record_events(events, now_ms=now_ms + took_ms)
    return is_kept


def _is_kept(events: Sequence[Event], *, now_ms: int) -> list[bool]:
    """Return for each event whether it is young enough and its player was not erased since. Raises StoreError."""
    oldest_ms = oldest_kept_ms(now_ms)
    is_young = [event.ts_ms >= oldest_ms for event in events]
    # A batch of old events needs no list, and is answered without the store.
    if any(is_young) and (until := erased_players.erased_until()):
        kept = [event.ts_ms > until.get(event.player_id, NEVER_ERASED) for event in events]
        return list(map(and_, is_young, kept))
    return is_young


def new_entries(entries: set[HourIndexEntry]) -> set[HourIndexEntry]:
    """Return those that this process has not seen become durable."""
    return entries - _known_entries


def remember_entries(entries: Iterable[HourIndexEntry]) -> None:
    """Do not write these again; only for entries that are durable."""
    if len(_known_entries) > MOST_REMEMBERED_ENTRIES:
        _known_entries.clear()
    _known_entries.update(entries)
