"""Reading dumps: JSON lines in bzip2, gzip or plain, from files or standard input, in blocks of bounded memory."""

import bz2
import gzip
import hashlib
import io
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from select import select

STDIN = "-"
STDIN_DESCRIPTOR = 0
# What one read of the decompressor may return; a few thousand lines.
READ_BYTES = 512 * 1024
# A pipe gives little at a time. What comes in this time goes together.
GATHER_SECONDS = 0.05
# An event of ours takes 200 bytes; a line that is longer is no event and must not fill the memory.
MOST_LINE_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"


class DumpError(Exception):
    """The file cannot be read, or not to its end; the message says how far it was good."""


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
        self.name = name
        self.size = 0 if name == STDIN else _readable_size(Path(name))

    def identity(self) -> str:
        """Differs between files: of the size and the beginning. The same for every standard input."""
        if self.name == STDIN:
            return STDIN
        with open(self.name, "rb") as file:
            return f"{self.size}-{hashlib.sha256(file.read(READ_BYTES)).hexdigest()[:16]}"

    def blocks(self) -> Iterator[Block]:
        """All lines in order. Raises DumpError where the file ends or breaks before its end."""
        is_stdin = self.name == STDIN
        with open(STDIN_DESCRIPTOR if is_stdin else self.name, "rb", buffering=0, closefd=not is_stdin) as raw:
            yield from _blocks(raw, name=self.name)


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


def _blocks(raw: io.FileIO, *, name: str) -> Iterator[Block]:
    line = 1
    counted = _CountingReader(raw)
    try:
        for lines in _lines(_decompressed(io.BufferedReader(counted), name=name)):
            if line == 1 and lines and lines[0].startswith(BOM):
                lines[0] = lines[0][len(BOM) :]
            yield Block(line, lines, counted.position)
            line += len(lines)
    except (EOFError, OSError, zlib.error) as error:
        reason = "it is cut off" if isinstance(error, EOFError) else f"it is damaged ({error})"
        raise DumpError(f"{name} could be read up to line {line - 1} only: {reason}.") from error


class _CountingReader(io.RawIOBase):
    """Passes bytes through and knows how many there were."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stubs want any buffer
        select([self._raw], [], [])  # a pipe that does not block has nothing before, which is not its end
        size, until = 0, time.monotonic() + GATHER_SECONDS
        while more := self._raw.readinto(buffer[size:]):
            size += more
            if not select([self._raw], [], [], max(0.0, until - time.monotonic()))[0]:
                break
        self.position += size
        return size


def _decompressed(file: io.BufferedReader, *, name: str) -> io.BufferedIOBase:
    """By what the file begins with, not by its name."""
    head = file.peek(3)
    if head.startswith(b"BZh"):
        return io.BufferedReader(_Bzip2Reader(file), READ_BYTES)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if b"\0" in head[:1024]:
        raise DumpError(f"{name} is neither text nor bzip2 nor gzip. Give JSON lines, one event each.")
    return file


class _Bzip2Reader(io.RawIOBase):
    """All streams of the file. (bz2.BZ2File takes a second one that is damaged for the end, and says nothing.)"""

    def __init__(self, packed: io.BufferedReader) -> None:
        self._packed = packed
        self._stream = bz2.BZ2Decompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stubs want any buffer
        while True:
            packed = b""
            if self._stream.eof:
                packed = self._stream.unused_data or self._packed.read1(READ_BYTES)
                if not packed:
                    return 0
                self._stream = bz2.BZ2Decompressor()
            elif self._stream.needs_input:
                packed = self._packed.read1(READ_BYTES)
                if not packed:
                    raise EOFError
            lines = self._stream.decompress(packed, len(buffer))
            if lines:
                buffer[: len(lines)] = lines
                return len(lines)


def _lines(stream: io.BufferedIOBase) -> Iterator[list[bytes]]:
    """Whole lines without their ends, some at a time. A line too long is cut, and what follows of it skipped."""
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
