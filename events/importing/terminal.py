"""What commands say, to a person or to a pipe whose reader may have ended, as before ``| head``."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, Protocol


class Output(Protocol):
    """A text file, or Django's wrapper around one."""

    def write(self, text: str, /) -> object:
        """Write it."""

    def flush(self) -> None:
        """Have it written."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Stoppable(Protocol):
    """Work that ends in good order, soon after it was asked to."""

    stop_requested: bool


@contextlib.contextmanager
def stopping_on_signals(work: Stoppable) -> Iterator[list[int]]:
    """Have SIGINT and SIGTERM ask the work to stop; yield those that came, from the first."""
    caught: list[int] = []

    def stop(number: int, _: Any) -> None:
        caught.append(number)
        work.stop_requested = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(stream: Output, text: str) -> bool:
    """Write a text that ends a line, and whether somebody may have read it."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        let_go(stream)
        return False
    return True


def note(line: str) -> None:
    """Write a line to standard error: above a progress bar, if there is one; nowhere, if its disk is full."""
    try:
        say(sys.stderr, f"{line}\n")
    except OSError:
        let_go(sys.stderr)


def let_go(stream: Output) -> None:
    """Nobody reads the stream any more: what is left in it goes nowhere, also at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
