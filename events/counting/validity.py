"""Whether a stored count is complete: its position beside the registers and markers of late writes.

A count includes every late write whose marker stands before its position: in an earlier slot, or, of the slots since,
with a version that the position has seen of that writer. A register that lies before the position says that there are
no others. Otherwise the markers between tell which minutes to count again; where they cannot all be read, everything
is counted anew.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

import msgspec

from events.batched import batched
from events.domain import CLOCKS_APART_MS, HOUR_MS, UNDER_WAY_MS
from events.late_writes import EVERY_COUNTRY, Cell, slot_of
from sessions_project import cassandra

# A write that is not visible yet may name a moment that lies this far back: clocks apart, and a write under way.
MARGIN_MS = CLOCKS_APART_MS + UNDER_WAY_MS
# Before every version: they are milliseconds since 1970.
NEVER = 0
# What one statement reads of slots.
SLOTS_PER_STATEMENT = 72
# Three hours of slots cost what a day of a million starts costs to count anew.
MOST_SLOTS = 1_000

SELECT_MARKERS = "SELECT writer, version, cells FROM {keyspace}.late_write WHERE slot IN ?"

_decode_cells = msgspec.json.Decoder(list[tuple[str, int, int, int]]).decode


class Position(NamedTuple):
    """Up to where late writes are included in a count. ``touched`` is what release 1.0 left instead of markers."""

    slot: int
    seen: Mapping[str, int]
    touched: str = ""

    def misses(self, marker: "Marker") -> bool:
        """Return whether the count was taken without seeing the marker."""
        return marker.slot >= self.slot and marker.version > self.seen.get(marker.writer, NEVER)


class Marker(NamedTuple):
    """What one writer says it has written late; ``version`` is in milliseconds."""

    writer: str
    version: int
    cells: Sequence[Cell]

    @property
    def slot(self) -> int:
        """Return the slot that it lies in."""
        return slot_of(self.version)


@dataclass(slots=True)
class LateWrites:
    """The markers of some slots, as they were when they were read.

    ``waiting`` are those that are left for later because there are many; a position includes none of them.
    """

    slots: Collection[int] = ()
    markers: Sequence[Marker] = ()
    waiting: Sequence[Marker] = ()
    _by_hour: dict[tuple[str, int], list[tuple[Marker, Cell]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for marker in self.markers:
            for cell in marker.cells:
                self._by_hour[cell.country, cell.hour_ms].append((marker, cell))

    def hours(self) -> Collection[tuple[str, int]]:
        """Return the countries and hours that were written to."""
        return self._by_hour.keys()

    def missed_by(self, position: Position, country: str, hour_ms: int) -> list[Cell]:
        """Return what of the hour a count at this position may lack."""
        both = (self._by_hour.get((one, hour_ms), ()) for one in {country, EVERY_COUNTRY})
        return [cell for some in both for marker, cell in some if position.misses(marker)]

    def oldest(self, *, most_cells: int, missed: Callable[[Marker, Cell], bool]) -> "LateWrites":
        """Return these with the youngest waiting, so that at most ``most_cells`` missed ones are to be counted."""
        cells: set[Cell] = set()
        for index, marker in enumerate(self.markers):
            cells.update(cell for cell in marker.cells if missed(marker, cell))
            if len(cells) > most_cells and index:
                return LateWrites(self.slots, self.markers[:index], self.markers[index:])
        return self

    def cover(self, position: Position, last_slot: int | None) -> bool:
        """Return whether every marker behind the position, up to the slot of a register, is here."""
        return last_slot is None or all(slot in self.slots for slot in range(position.slot, last_slot + 1))

    def position(self, now_ms: int, *, before: Position | None, touched: str) -> Position:
        """Return the position of what is counted with all of these included, and stood at ``before``."""
        slot = slot_of(now_ms - MARGIN_MS)
        if before is not None:
            slot = max(slot, before.slot)
        slot = min([slot, *(marker.slot for marker in self.waiting)])
        seen: dict[str, int] = {}
        if before is not None:
            seen.update(before.seen)
        for marker in self.markers:
            seen[marker.writer] = max(marker.version, seen.get(marker.writer, NEVER))
        # A version is not before its slot: what a writer had said before it needs no mention.
        return Position(slot, {name: seen[name] for name in seen if slot_of(seen[name]) >= slot}, touched)


def is_passed(last_slot: int | None, before: Position | None, *, by: Position) -> bool:
    """Return whether late writes have to be looked at behind ``before`` and no more behind ``by``."""
    return before is not None and last_slot is not None and before.slot <= last_slot < by.slot


def slots_since(position: Position, last_slot: int | None) -> range:
    """Return the slots between a position and a register; none when they are too many to read.

    One more where there are any: registers move on while a report reads.
    """
    slots = range(position.slot, (NEVER if last_slot is None else last_slot) + 1)
    return range(slots.start, slots.stop + 1) if 0 < len(slots) <= MOST_SLOTS else range(0)


def read_late_writes(slots: Iterable[int], *, deadline: float) -> LateWrites:
    """Read the markers of these slots. Raises StoreUnavailable."""
    wanted = sorted(set(slots))
    queries = [(SELECT_MARKERS, (some,)) for some in batched(wanted, SLOTS_PER_STATEMENT)]
    markers = [
        Marker(
            writer, version, [Cell(country, hour * HOUR_MS, minute, shards) for country, hour, minute, shards in cells]
        )
        for rows in cassandra.execute_many(queries, deadline=deadline)
        for writer, version, text in rows
        for cells in [_decode_cells(text)]
    ]
    return LateWrites(frozenset(wanted), sorted(markers, key=attrgetter("version")))
