"""Moving an old dump to the present: by how much, and how to say so."""

from collections.abc import Callable, Sequence

from events.domain import DAY_MS, SECOND_MS, format_timestamp
from events.importing.dump import Dump


def newest_event(dumps: Sequence[Dump], *, latest_ms: int, on_position: Callable[[int], None]) -> int | None:
    """Return the latest ``ts`` of all files up to ``latest_ms``, in milliseconds; one pass over them. Raises DumpError.

    What is later is of a clock that was wrong: one event of the year 2099 would move all others out of the retention.
    """
    from events.importing.line_validator import (
        newest_timestamp,  # brings the framework, which other imports do not need
    )

    newest: int | None = None
    before = 0
    for dump in dumps:
        for block in dump.blocks():
            found = newest_timestamp(block.lines, latest_ms=latest_ms)
            newest = max((one for one in (newest, found) if one is not None), default=None)
            on_position(before + block.position)
        before += dump.size
    return newest


def shift_in_words(shift_ms: int) -> str:
    """Return it such as ``+3650 days 01:02:03.456 (+315363723.456 s)``, from which anybody can map times back."""
    sign = "-" if shift_ms < 0 else "+"
    days, remainder = divmod(abs(shift_ms), DAY_MS)
    clock = format_timestamp(remainder)[11:23]
    seconds, milliseconds = divmod(abs(shift_ms), SECOND_MS)
    return f"{sign}{days} days {clock} ({sign}{seconds}.{milliseconds:03} s)"


def shift_message(newest_ms: int, shift_ms: int) -> str:
    """Return what is done to the events, and how to undo it."""
    moved = format_timestamp(newest_ms + shift_ms)
    return (
        f"The newest event is of {format_timestamp(newest_ms)} and becomes one of {moved}. "
        f"All events are moved by {shift_in_words(shift_ms)}: subtract that to have their own times. "
        "What is later than the newest event and the tolerance of clocks is rejected."
    )
