"""Late writes leave a marker, so that reports know which stored counts are incomplete and count only those again.

A start is late when a count may have been taken without it (``domain.is_late``). It leaves two traces:

- A register beside the counts of its day and hour holds the last slot of time in which a late write came. It is
  written with the rows of the start, before they can be seen.
- A marker in the partition of a slot names the minutes that were written to. It is written once the rows are durable
  and before the sender is answered: a reader that sees the marker and then counts sees the rows.

Markers of one writer are sent one after the other with a rising version: a reader that has seen one has seen all before
it. So ``{writer: version}`` is all that a count has to remember of the markers that it includes.
"""

import threading
import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from events import domain
from events.batched import batched
from events.clock import ttl_seconds
from events.commits import commits
from events.domain import DAY_MS, MINUTE_MS, SECOND_MS
from store import cassandra
from store.cassandra import Statement
from store.group_commit import GroupCommit

# A slot is a partition. With shorter slots a report reads more partitions, with longer ones more markers again.
SLOT_MS = 10 * SECOND_MS
# Cassandra's write timestamps are microseconds.
MICROSECONDS = 1_000
# Threads read the clock before they wait for each other. A larger step back means that the clock was set back.
CLOCK_SET_BACK_MS = 10 * SECOND_MS
# A write must leave its marker within this time after it read the clock, or it is written again: two slots.
LATE_MS = 20 * SECOND_MS
# Counts are usually brought up to date within seconds. For those that were not within a day, the registers are used.
MARKER_SECONDS = 86_400
# A marker always gets this much time, however long its rows have taken: they are durable by then.
LEAST_SECONDS = 0.5
# Length of the name of a process. Every stored count has the names of the last minutes.
NAME_DIGITS = 12
# About 30 KiB of JSON.
CELLS_PER_MARKER = 1_000
# In place of a minute: any minute of the hour may have been written to.
WHOLE_HOUR = -1
# In place of a country: any may have been written to.
EVERY_COUNTRY = ""
# Of the registers of an import, by one statement: 10 KiB.
REGISTERS_PER_BATCH = 100

INSERT_MARKER = """
    INSERT INTO {keyspace}.late_write (slot, writer, version, cells) VALUES (?, ?, ?, ?) USING TTL ?"""
# The timestamp is that of the slot: the largest slot wins, whatever the clocks of writers say.
UPDATE_REGISTERS = """
    UPDATE {keyspace}.start_count USING TIMESTAMP ? AND TTL ? SET day_last_slot = ?, last_slot = ?
    WHERE day = ? AND hour = ? AND country = ?"""


class Cell(NamedTuple):
    """A minute (or WHOLE_HOUR) of a country (or EVERY_COUNTRY), and over how many shards its hour is spread."""

    country: str
    hour_ms: int
    minute: int
    shards: int


class Writer:
    """The name and version of this process in its markers: a random name, and a version in ms that only rises.

    When the clock was set back, it takes a new name: otherwise the version would run ahead of the slots.
    """

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex[:NAME_DIGITS]
        self._version = 0
        self._lock = threading.Lock()

    def next_version(self, now_ms: int) -> tuple[str, int]:
        """Return the name, and as version ``now_ms``, or as much above as makes it new."""
        with self._lock:
            if now_ms < self._version - CLOCK_SET_BACK_MS:
                self.name, self._version = uuid.uuid4().hex[:NAME_DIGITS], now_ms
            else:
                self._version = max(now_ms, self._version + 1)
            return self.name, self._version


writer = Writer()


def slot_of(moment_ms: int) -> int:
    """Return the slot that a moment falls in."""
    return moment_ms // SLOT_MS


def cell_of(country: str, ts_ms: int, *, shards: int) -> Cell:
    """Return the minute of a start."""
    hour = domain.hour_of(ts_ms)
    return Cell(country, hour, (ts_ms - hour) // MINUTE_MS, shards)


def register_rows(cells: Collection[Cell], *, now_ms: int) -> list[Statement]:
    """Return the registers of late writes whose markers are written within LATE_MS after ``now_ms``."""
    last_slot = slot_of(now_ms + LATE_MS + CLOCK_SET_BACK_MS)
    return [
        (
            UPDATE_REGISTERS,
            (
                last_slot * SLOT_MS * MICROSECONDS,
                ttl_seconds(day + DAY_MS, now_ms=now_ms),
                last_slot,
                last_slot,
                day,
                hour,
                country,
            ),
        )
        for country, hour in {(cell.country, cell.hour_ms) for cell in cells}
        for day in [domain.day_of(hour)]
    ]


def announce(cells: Collection[Cell], *, now_ms: int, seconds: float) -> None:
    """Leave a marker for late writes whose rows and registers are durable; return once it is durable, too.

    ``now_ms`` is what the registers were made with, at most LATE_MS ago. Raises StoreError.
    """
    _markers.write([(now_ms, cell) for cell in cells], seconds=max(seconds, LEAST_SECONDS))


def announce_hours(hours: Iterable[int], *, now_ms: int, seconds: float) -> None:
    """Leave registers and a marker for whole hours of every country whose rows are durable. Raises StoreError."""
    cells = [Cell(EVERY_COUNTRY, hour, WHOLE_HOUR, 1) for hour in hours]
    for some in batched(cells, REGISTERS_PER_BATCH):
        cassandra.send_batch(register_rows(some, now_ms=now_ms), seconds=seconds).wait()
    for some in batched(cells, CELLS_PER_MARKER):
        announce(some, now_ms=now_ms, seconds=seconds)


def _write_marker(announced: Sequence[tuple[int, Cell]], *, seconds: float) -> None:
    """Write one marker for many: the latest clock of them is in the slots of all their registers.

    It goes with rows of other requests if there are any: a write of its own costs both sides as much as ten rows.
    """
    name, version = writer.next_version(max(now_ms for now_ms, _ in announced))
    cells = {cell for _, cell in announced}
    row = (INSERT_MARKER, (slot_of(version), name, version, msgspec.json.encode(cells).decode(), MARKER_SECONDS))
    commits.write([row], seconds=seconds)


# One at a time: a version is sent when every one before it is durable, or has failed, and its senders know.
_markers = GroupCommit[tuple[int, Cell]](_write_marker, at_a_time=1, most_statements=CELLS_PER_MARKER)
