"""Reading dumps: JSON lines in bzip2, gzip or plain, from files or standard input, in blocks of bounded memory."""

import hashlib
import io
import os
import stat
import sys
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from select import select

from events.importing.files import REJECTS, kind_of
from events.importing.forms import binary_form
from events.importing.unpacking import UnpackingReader, packing_of

STDIN = "-"
STDIN_DESCRIPTOR = 0
# What one read of the decompressor may return; a few thousand lines.
READ_BYTES = 512 * 1024
# A pipe gives little at a time. What comes within this time is read together.
GATHER_SECONDS = 0.05
# An event of ours takes 200 bytes; a line that is longer is no event and must not fill the memory.
MOST_LINE_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"


class DumpError(Exception):
    """The file cannot be read, or not to its end; the message names the last good line."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive lines; ``first_line`` counts from 1, ``position`` is how much of the file they end at.

    A line that is too long may be cut, to MOST_LINE_BYTES + 1 bytes, which no event has.
    """

    first_line: int
    lines: list[bytes]
    position: int


class Dump:
    """One file, or standard input."""

    def __init__(self, name: str) -> None:
        """Look at it. Raises DumpError when it is no dump; standard input is only looked at when it is read."""
        self.name = name
        self.warnings: list[str] = []
        if name == STDIN:
            self.size = 0
            if sys.stdin is None:
                raise DumpError("Standard input is closed. Send it a dump, or name a file.")
            return
        self.size = _readable_size(Path(name))
        with closing(self.blocks()) as blocks:
            next(blocks, None)

    def identity(self) -> str:
        """Return a text that differs between files (size and a hash of the beginning); one for all standard input."""
        if self.name == STDIN:
            return STDIN
        with open(self.name, "rb") as file:
            return f"{self.size}-{hashlib.sha256(file.read(READ_BYTES)).hexdigest()[:16]}"

    def blocks(self) -> Generator[Block, None, None]:
        """Yield all lines in order. Raises DumpError where the file ends or breaks before its end.

        Problems that leave the lines intact go to ``warnings``.
        """
        self.warnings.clear()
        is_stdin = self.name == STDIN
        with open(STDIN_DESCRIPTOR if is_stdin else self.name, "rb", buffering=0, closefd=not is_stdin) as raw:
            size = _size_left(raw) if is_stdin else self.size
            yield from _blocks(_CountingReader(raw, size), name=self.name, on_garbage=self._warn_of_garbage)

    def _warn_of_garbage(self, size: int) -> None:
        self.warnings.append(
            f"{self.name}: {size:,} bytes after its last whole stream are no lines; they are left out."
        )


def _readable_size(path: Path) -> int:
    if path.is_dir():
        raise DumpError(f"{path} is a directory. Name the files in it.")
    if path.exists() and not path.is_file():
        raise DumpError(f"{path} is not a file. Send what it gives to standard input, and name -.")
    try:
        with path.open("rb"):
            size = path.stat().st_size
    except OSError as error:
        raise DumpError(f"{path} cannot be read: {error.strerror}.") from error
    if not size:
        raise DumpError(f"{path} is empty.")
    return size


def _size_left(raw: io.FileIO) -> int:
    """Return what is still to be read of a file that the shell has led to standard input; 0 for anything else."""
    found = os.fstat(raw.fileno())
    return found.st_size - raw.tell() if stat.S_ISREG(found.st_mode) else 0


def _blocks(counted: "_CountingReader", *, name: str, on_garbage: Callable[[int], None]) -> Iterator[Block]:
    line = 1
    try:
        unpacked = _unpacked(io.BufferedReader(counted), on_garbage)
        head = unpacked.peek()
        for lines in _lines(unpacked):
            if line == 1:
                lines[0] = lines[0].removeprefix(BOM)
                _refuse_what_is_no_dump(head, lines, name=name)
            yield Block(line, lines, counted.position)
            line += len(lines)
    except (EOFError, OSError, zlib.error) as error:
        reason = "it is cut off" if isinstance(error, EOFError) else f"it is damaged ({error})"
        raise DumpError(f"{name} could be read up to line {line - 1} only: {reason}.") from error
    except _Shortened:
        reason = "it has become shorter since it was opened"
        raise DumpError(f"{name} could be read up to line {line - 1} only: {reason}.") from None
    if line == 1:
        raise DumpError("Standard input is empty." if name == STDIN else f"{name} is empty.")


def _refuse_what_is_no_dump(head: bytes, lines: Sequence[bytes], *, name: str) -> None:
    """Decide by the first bytes and lines. Text that is no dump is only noticed when its lines are rejected."""
    kind = kind_of(lines[0])
    if kind == REJECTS:
        raise DumpError(
            f"{name} holds the rejects of an import and is no dump: leave it out. To import lines of it that you have "
            f"corrected, write them to another file: jq -r '.input // empty' {name} > corrected.jsonl"
        )
    if kind:
        raise DumpError(f"{name} is the checkpoint of an import and no dump: leave it out.")
    if form := binary_form(head):
        raise DumpError(f"{name} is {form.name}, not JSON lines. {form.remedy}")
    if any(map(_is_binary, head.split(b"\n"))) and not any(map(_is_like_an_object, lines)):
        raise DumpError(f"{name} is neither text nor bzip2 nor gzip. Give JSON lines, one event each.")


def _is_binary(line: bytes) -> bool:
    """Return whether a line is not text. A line of zeros alone may be: a power failure can leave such lines."""
    return b"\0" in line and bool(line.strip(b"\0\r"))


def _is_like_an_object(line: bytes) -> bool:
    return line.strip(b"\0\r\t ").startswith(b"{") and line.rstrip().endswith(b"}")


class _Shortened(Exception):
    """Less came than there was when the file was opened."""


class _CountingReader(io.RawIOBase):
    """Passes bytes through and knows how many there were. Raises _Shortened at an end before ``size``."""

    def __init__(self, raw: io.FileIO, size: int) -> None:
        self._raw = raw
        self._size = size
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stubs want any buffer
        select([self._raw], [], [])  # a non-blocking pipe that is empty is not at its end
        size, until = 0, time.monotonic() + GATHER_SECONDS
        while more := self._raw.readinto(buffer[size:]):
            size += more
            if not select([self._raw], [], [], max(0.0, until - time.monotonic()))[0]:
                break
        self.position += size
        if not size and self.position < self._size:
            raise _Shortened
        return size


def _unpacked(file: io.BufferedReader, on_garbage: Callable[[int], None]) -> io.BufferedReader:
    """Unpack by the first bytes of the file, not by its name."""
    magic = packing_of(file.peek(3))
    return io.BufferedReader(UnpackingReader(file, magic, on_garbage), READ_BYTES) if magic else file


def _lines(stream: io.BufferedReader) -> Iterator[list[bytes]]:
    """Yield whole lines without their ends, some at a time. A line too long is cut, and what follows of it skipped."""
    begun = b""
    skipping = False
    while piece := stream.read1(READ_BYTES):
        if skipping:
            _, end, piece = piece.partition(b"\n")
            skipping = not end
        lines = (begun + piece).split(b"\n")
        begun = lines.pop()
        if len(begun) > MOST_LINE_BYTES:
            lines.append(begun[: MOST_LINE_BYTES + 1])
            begun, skipping = b"", True
        if lines:
            yield lines
    if begun:
        yield [begun]
