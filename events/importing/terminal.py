"""What commands say, to a person or to a pipe whose reader may have ended, as before ``| head``."""

import contextlib
import os
import sys
from typing import Protocol


class Output(Protocol):
    """A text file, or Django's wrapper around one."""

    def write(self, text: str, /) -> object:
        """Write it."""

    def flush(self) -> None:
        """Have it written."""

    def fileno(self) -> int:
        """Return the descriptor."""


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
    """Write a line to standard error: above a progress bar, if there is one."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)


def let_go(stream: Output) -> None:
    """Nobody reads the stream any more: what is left in it goes nowhere, also at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
