"""Output of commands, to a person or to a pipe whose reader may have ended, as with ``| head``."""

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
    """Work that ends in good order soon after ``stop_requested`` was set."""

    stop_requested: bool


@contextlib.contextmanager
def stopping_on_signals(work: Stoppable) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM stop the work; yield the list of signals that came."""
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
    """Write a text; return False when nobody reads the stream any more."""
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
    """Send the rest of a stream that nobody reads to nowhere, including what is flushed when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
