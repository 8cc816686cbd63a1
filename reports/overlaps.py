"""Which of some intervals share a moment with another one."""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID


class Interval(NamedTuple):
    """The moments from ``from_ms`` up to but not including ``to_ms``: one that begins when another ends is apart."""

    from_ms: int
    to_ms: int
    session_id: UUID


def overlapping(intervals: Iterable[Interval]) -> set[UUID]:
    """Return the sessions whose interval shares a moment with that of another; one without any moment shares none."""
    return {session_id for pair in _neighbours(intervals) for session_id in pair}


def _neighbours(intervals: Iterable[Interval]) -> Iterator[tuple[UUID, UUID]]:
    """Yield enough overlapping pairs to name every session that overlaps."""
    lasting = (interval for interval in intervals if interval.from_ms < interval.to_ms)
    latest: Interval | None = None
    for interval in sorted(lasting, key=attrgetter("from_ms")):
        # Of all that began before, the one that ends last stands for the rest: who still runs overlaps it too.
        if latest and interval.from_ms < latest.to_ms:
            yield latest.session_id, interval.session_id
        if not latest or interval.to_ms > latest.to_ms:
            latest = interval
