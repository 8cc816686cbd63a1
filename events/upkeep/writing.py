"""Writes of upkeep. Starts that are written or deleted are announced like late starts, so counts stay exact."""

from collections.abc import Collection, Sequence

from django.conf import settings

from events import late_writes
from events.batched import batched
from events.clock import oldest_kept_ms, wall_clock_ms
from events.domain import HOUR_MS
from events.late_writes import CELLS_PER_MARKER, LATE_MS, Cell
from events.rows import late_rows
from store import cassandra
from store.cassandra import Statement

# About 20 KiB: well below Cassandra's limit of 50 KiB (batch_size_fail_threshold).
STATEMENTS_PER_BATCH = 100


def execute(statements: Sequence[Statement]) -> None:
    """Execute them in unlogged batches; each is idempotent. Raises StoreError: some may have happened."""
    for some in batched(statements, STATEMENTS_PER_BATCH):
        cassandra.send_batch(some, seconds=settings.CASSANDRA_TIMEOUT_SECONDS).wait()


def execute_and_recount(statements: Sequence[Statement], cells: Collection[Cell]) -> None:
    """Execute statements that write or delete starts of these minutes, and have these counted again.

    Raises StoreError.
    """
    took_ms = LATE_MS
    while took_ms >= LATE_MS:  # the markers of a process that was paused may be in slots that were counted meanwhile
        now_ms = wall_clock_ms()
        young = [cell for cell in cells if cell.hour_ms + HOUR_MS > oldest_kept_ms(now_ms)]
        execute(late_rows(young, now_ms=now_ms))
        execute(statements)
        for some in batched(young, CELLS_PER_MARKER):
            late_writes.announce(some, now_ms=now_ms, seconds=settings.CASSANDRA_TIMEOUT_SECONDS)
        took_ms = wall_clock_ms() - now_ms
