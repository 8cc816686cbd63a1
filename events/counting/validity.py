"""Whether a stored count is complete: its position beside the registers and markers of late writes.

A count includes every late write whose marker stands before its position: in an earlier slot, or, of the slots since,
with a version that the position has seen of that writer. A register that lies before the position says that there are
no others. Otherwise the markers between tell which minutes to count again; where they cannot all be read, the hours
are counted anew whose registers do not lie before the position.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

import msgspec

from events.batched import batched
from events.domain import CLOCKS_APART_MS, IN_FLIGHT_MS, SECOND_MS
from events.late_writes import CLOCK_SET_BACK_MS, EVERY_COUNTRY, LATE_MS, MARKER_SECONDS, Cell, slot_of
from store import cassandra
from store.cassandra import Row

# A write that is not visible yet may name a moment that lies this far back: clocks apart, and a write in flight.
MARGIN_MS = CLOCKS_APART_MS + IN_FLIGHT_MS
# Before every version: they are milliseconds since 1970.
NEVER = 0
# In place of what a count must have seen of release 1.0: nobody asked.
NOT_ASKED = "-"
# What one statement reads of slots.
SLOTS_PER_STATEMENT = 72
# How far ahead of our clock a register may be.
AHEAD_MS = CLOCKS_APART_MS + LATE_MS + CLOCK_SET_BACK_MS
# As old a marker may be to be there for certain.
MARKERS_LAST_MS = MARKER_SECONDS * SECOND_MS - 2 * MARGIN_MS
# Five minutes: what was not looked at for longer is found by the registers.
MOST_SLOTS = 30

SELECT_VERSIONS = "SELECT writer, version FROM {keyspace}.late_write WHERE slot IN ?"
SELECT_MARKERS = "SELECT writer, version, cells FROM {keyspace}.late_write WHERE slot IN ?"

_decode_cells = msgspec.json.Decoder(list[Cell]).decode


class Position(NamedTuple):
    """Up to where late writes are included in a count. ``release_1`` is what release 1.0 left instead of markers."""

    slot: int
    seen: Mapping[str, int]
    release_1: str = ""

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


@dataclass
class LateWrites:
    """What some slots say, as they were when they were read: ``versions`` of every writer, and the markers that matter.

    ``known`` is what is seen of each writer by every position that was asked for: older markers are not here.
    ``waiting`` are those that are left for later because there are many.
    """

    slots: Collection[int] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    known: Mapping[str, int] = field(default_factory=dict)
    markers: Sequence[Marker] = ()
    waiting: Sequence[Marker] = ()

    @cached_property
    def _by_hour(self) -> Mapping[tuple[str, int], list[tuple[Marker, Cell]]]:
        by_hour = defaultdict(list)
        for marker in self.markers:
            for cell in marker.cells:
                by_hour[cell.country, cell.hour_ms].append((marker, cell))
        return by_hour

    def hours(self) -> Collection[tuple[str, int]]:
        """Return the countries and hours that were written to."""
        return self._by_hour.keys()

    def missed_by(self, position: Position, country: str, hour_ms: int) -> list[Cell]:
        """Return what of the hour a count at this position may lack."""
        both = (self._by_hour.get((one, hour_ms), ()) for one in {country, EVERY_COUNTRY})
        return [cell for some in both for marker, cell in some if position.misses(marker)]

    def oldest(self, *, most: int, cost: Callable[[Marker, Cell], int]) -> "LateWrites":
        """Return these with the youngest waiting, so that to count the missed ones costs at most ``most``.

        ``cost`` is 0 for what is not missed. The cells of a marker may be divided: what is counted then is not stored.
        """
        cells: set[Cell] = set()
        sum_of_costs = 0
        for index, marker in enumerate(self.markers):
            for number, cell in enumerate(marker.cells):
                if cell in cells or not (of_cell := cost(marker, cell)):
                    continue
                cells.add(cell)
                sum_of_costs += of_cell
                if sum_of_costs > most:
                    now, later = marker.cells[:number], marker.cells[number:]
                    markers = [*self.markers[:index], marker._replace(cells=now)]
                    waiting = [marker._replace(cells=later), *self.markers[index + 1 :]]
                    return replace(self, markers=markers, waiting=waiting)
        return self

    def cover(self, position: Position, last_slot: int | None) -> bool:
        """Return whether every marker behind the position, up to the slot of a register, is here."""
        if last_slot is None or last_slot < position.slot:
            return True
        reads_on = not any(
            position.misses(Marker(writer, version, ())) for writer, version in self.known.items() if version
        )
        return reads_on and all(slot in self.slots for slot in range(position.slot, last_slot + 1))

    def position(self, clock_ms: int, *, before: Position | None, release_1: str) -> Position:
        """Return the position of what is counted with all of these included, and stood at ``before``.

        Of a report that leaves some waiting nothing is stored.
        """
        slot = slot_of(clock_ms - MARGIN_MS)
        if before is not None:
            slot = max(slot, before.slot)
            release_1 = before.release_1 if release_1 == NOT_ASKED else release_1
        seen = dict(before.seen) if before is not None else {}
        for writer, version in self.versions.items():
            seen[writer] = max(version, seen.get(writer, NEVER))
        # A version is not before its slot: what a writer had said before it needs no mention.
        return Position(slot, {name: seen[name] for name in seen if slot_of(seen[name]) >= slot}, release_1)


def recent_slots(clock_ms: int) -> range:
    """Return the slots in which markers may still come: a count that is taken now need not take them for news."""
    return range(slot_of(clock_ms - MARGIN_MS), slot_of(clock_ms + AHEAD_MS) + 1)


def slots_since(position: Position, last_slot: int, *, clock_ms: int) -> range:
    """Return the slots from a position to a register; none when they are too many to read, or have expired.

    One more where there are any: registers move on while a report reads.
    """
    slots = range(position.slot, last_slot + 1)
    is_there = position.slot >= slot_of(clock_ms - MARKERS_LAST_MS)
    return range(slots.start, slots.stop + 1) if is_there and 0 < len(slots) <= MOST_SLOTS else range(0)


def read_late_writes(slots: Iterable[int], positions: Collection[Position], *, deadline: float) -> LateWrites:
    """Read what these slots say that one of the positions misses. Raises StoreError.

    The versions first: whoever has a version then sees, behind it, everything that its writer had said before.
    """
    wanted = sorted(set(slots))
    rows = _read(SELECT_VERSIONS, wanted, deadline=deadline)
    versions: dict[str, int] = {}
    for writer, version in rows:
        versions[writer] = max(version, versions.get(writer, NEVER))
    known = {
        writer: min((one.seen.get(writer, NEVER) for one in positions), default=version)
        for writer, version in versions.items()
    }
    news = {slot_of(version) for writer, version in rows if version > known[writer]}
    again = [slot for slot in wanted if slot in news or slot + 1 in news]  # one may have come while others were read
    markers = [
        Marker(writer, version, _decode_cells(text))
        for writer, version, text in _read(SELECT_MARKERS, again, deadline=deadline)
        if version > known.get(writer, NEVER)
    ]
    return LateWrites(frozenset(wanted), versions, known, sorted(markers, key=attrgetter("version")))


def _read(cql: str, slots: Sequence[int], *, deadline: float) -> list[Row]:
    queries = [(cql, (some,)) for some in batched(slots, SLOTS_PER_STATEMENT)]
    return [row for rows in cassandra.execute_many(queries, deadline=deadline) for row in rows]
