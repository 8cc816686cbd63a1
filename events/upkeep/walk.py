"""Reading whole tables beside a running service: by token range, at a limited rate, with one page in memory.

It reads every copy: a deleted row may have come back on one node only, which a quorum need not read. While a node does
not answer, it reads a quorum.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from events.clock import wall_clock_ms
from events.erased_players import erased_until
from events.models import Table
from events.upkeep.row_checks import Clock
from events.upkeep.tables import Reading
from store import cassandra
from store.cassandra import Page, Row
from store.errors import StoreUnavailable
from store.token_ranges import token_ranges

# Of each table. A walk that was stopped repeats one of them.
RANGES = 32
# A page takes 10 to 20 ms.
ROWS_PER_PAGE = 1_000
RETRY_SECONDS = 1.0
# A node that does not answer is usually down for some time, and finding out may take a timeout.
SECONDS_WITH_A_QUORUM = 60.0

T = TypeVar("T")


class Unit(Protocol):
    """A part of a walk."""

    @property
    def name(self) -> str:
        """Return what is looked at, for people."""


class TableRange(NamedTuple):
    """The rows of a table between two tokens."""

    table: Table
    after: int
    until: int

    @property
    def name(self) -> str:
        return f"rows of {self.table.__table_name__}"


def ranges_of(table: Table) -> list[TableRange]:
    """Return the parts in which a table is read."""
    return [TableRange(table, *one) for one in token_ranges(RANGES)]


class Progress(NamedTuple):
    """How far a walk has come: how many of its units are done, and how many rows were read."""

    unit: Unit
    done: int
    units: int
    rows: int
    waiting_for: str | None = None


class Stopped(Exception):
    """Somebody has asked to stop while Cassandra was unavailable."""


class Walk:
    """Goes through units, reading at most ``most_rows`` a second. While Cassandra is unavailable it waits."""

    def __init__(self, *, most_rows: int, on_progress: Callable[[Progress], None]) -> None:
        self.stop_requested = False
        self._most_rows = most_rows
        self._on_progress = on_progress
        self._quorum_until = 0.0  # on the monotonic clock

    def _progress(self) -> Progress:
        raise NotImplementedError

    def _pages(self, reading: Reading, table: Table, *, after: int, until: int) -> Iterator[tuple[list[Row], Clock]]:
        """Yield the rows of a range in pages, each with the time and the list of erased players when it was read."""
        cql, next_page = reading.cql(table), None
        while True:
            began = time.monotonic()
            clock = Clock(wall_clock_ms(), self._patiently(erased_until))
            page = self._patiently(lambda: self._page(cql, (after, until), next_page))  # noqa: B023
            yield page.rows, clock
            self._on_progress(self._progress())
            self._pause(len(page.rows), began=began)
            if page.next is None:
                return
            next_page = page.next

    def _page(self, cql: str, values: Sequence[int], next_page: bytes | None) -> Page:
        """Return a page of every copy, or of a quorum while a node does not answer. Raises StoreError."""
        if time.monotonic() >= self._quorum_until:
            try:
                return cassandra.read_page(cql, values, rows=ROWS_PER_PAGE, after=next_page, every_copy=True)
            except StoreUnavailable:
                self._quorum_until = time.monotonic() + SECONDS_WITH_A_QUORUM
        return cassandra.read_page(cql, values, rows=ROWS_PER_PAGE, after=next_page)

    def _pause(self, rows: int, *, began: float) -> None:
        """Sleep for the rest of the time that this many rows may take."""
        time.sleep(max(rows / self._most_rows - (time.monotonic() - began), 0))

    def _patiently(self, call: Callable[[], T]) -> T:
        """Return what the call returns, repeating it while Cassandra is unavailable. Raises Stopped."""
        while True:
            try:
                return call()
            except StoreUnavailable as error:
                if self.stop_requested:
                    raise Stopped from error
                self._on_progress(self._progress()._replace(waiting_for=str(error)))
                time.sleep(RETRY_SECONDS)
