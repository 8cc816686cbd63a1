"""bzip2 and gzip as found in practice: several streams in a row, and what packers leave after the last one.

The standard library's bz2.BZ2File silently takes a damaged second stream for the end; its gzip calls a whole file
damaged because of one stray byte after it.
"""

import bz2
import io
import re
import zlib
from collections.abc import Callable
from typing import Protocol

# What one read of the packed file may return.
PACKED_BYTES = 512 * 1024
# What is not left out as garbage: JSON, gzip, bzip2, zip, zstd, xz.
DATA = re.compile(rb'\s*[{\[]\s*["{\[}\]]|\x1f\x8b\x08|BZh[1-9]|PK\x03\x04|\x28\xb5\x2f\xfd|\xfd7zXZ')
DATA_BYTES = 512  # enough to see it
GZIP_WINDOW = 31  # of zlib: with the header and the checksum of gzip


class Stream(Protocol):
    """One stream that is being unpacked, as bz2.BZ2Decompressor."""

    @property
    def eof(self) -> bool:
        """Whether its end was seen, and its checksum is right."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing comes without more packed bytes."""

    @property
    def unused_data(self) -> bytes:
        """What stands behind its end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return more of what it holds."""


class _GzipStream:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=GZIP_WINDOW)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


PACKINGS: dict[bytes, Callable[[], Stream]] = {b"BZh": bz2.BZ2Decompressor, b"\x1f\x8b": _GzipStream}


def packing_of(head: bytes) -> bytes | None:
    """Return the magic bytes of the packing of a file that begins with ``head``; None when it is not packed."""
    return next((magic for magic in PACKINGS if head.startswith(magic)), None)


class UnpackingReader(io.RawIOBase):
    """All streams of a file. Raises EOFError where one is cut off, and OSError or zlib.error where one is damaged.

    Zeros between and behind streams are padding. When every stream is whole, anything else behind the last one is
    passed to ``on_garbage`` as a number of bytes, unless it looks like data: then OSError is raised.
    """

    def __init__(self, packed: io.BufferedReader, magic: bytes, on_garbage: Callable[[int], None]) -> None:
        self._packed = packed
        self._magic = magic
        self._stream = PACKINGS[magic]()
        self._on_garbage = on_garbage
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stubs want any buffer
        while not self._is_over:
            packed = b""
            if self._stream.eof:
                packed = self._next_stream()
                if not packed:
                    break
                self._stream = PACKINGS[self._magic]()
            elif self._stream.needs_input:
                packed = self._packed.read1(PACKED_BYTES)
            lines = self._stream.decompress(packed, len(buffer))
            if lines:
                buffer[: len(lines)] = lines
                return len(lines)
            if not packed and self._stream.needs_input and not self._stream.eof:
                raise EOFError
        return 0

    def _next_stream(self) -> bytes:
        """Return the beginning of the next stream, or nothing where there is none."""
        behind, padding = self._stream.unused_data, 0
        while True:
            found = behind.lstrip(b"\0")
            padding += len(behind) - len(found)
            more = b"" if len(found) >= len(self._magic) else self._packed.read1(PACKED_BYTES)
            if not more:
                break
            behind = found + more
        if found.startswith(self._magic):
            return found
        self._is_over = True
        self._check_remainder(found, padding)
        return b""

    def _check_remainder(self, remainder: bytes, padding: int) -> None:
        if remainder and self._magic.startswith(remainder):
            raise EOFError
        while len(remainder) < DATA_BYTES and (more := self._packed.read1(DATA_BYTES)):
            remainder += more
        if DATA.match(remainder):
            raise OSError("data that are packed in another way, or not at all, follow its last stream")
        size = len(remainder)
        while more := self._packed.read1(PACKED_BYTES):
            size += len(more)
        if size + padding:
            self._on_garbage(size + padding)
