"""The file of the lines that an import rejects: JSON lines after a header, by which later imports recognize it."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from events.importing.files import REJECTS, ImportFailed, Output, header, is_device, locked
from events.importing.lines import Reject


class RejectsFile:
    """The rejects file of one run, which no other run can use meanwhile; or a device, which is only written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = Path(os.path.realpath(path))
        self._is_device = is_device(path)
        self._file: IO[bytes] | None = None
        self._may_go = True

    def output(self) -> Output:
        """Return what a run writes."""
        return Output(self.path, REJECTS, "--rejects")

    def open(self, *, known_bytes: int) -> None:
        """Lock the file without changing it. ``known_bytes`` are those that the checkpoint knows.

        Raises ImportFailed when another import has it, or it holds less.
        """
        size = self._real.stat().st_size if self._real.exists() else None
        if known_bytes > (size or 0):
            raise ImportFailed(
                f"{self.path} does not hold the rejects of the import that is to be resumed. "
                "Name their file with --rejects, or start without --resume."
            )
        self._may_go = size != 0  # an empty file that was there before is not ours
        try:
            self._file = self.path.open("wb") if self._is_device else locked(self._real)
        except BlockingIOError:
            raise ImportFailed(
                f"Another import writes to {self.path}. Name other files with --rejects and --checkpoint."
            ) from None

    def begin(self, *, known_bytes: int) -> None:
        """Cut off what the checkpoint does not know: those lines are read again."""
        if self._file and not self._is_device:
            self._file.truncate(known_bytes)
            self._file.seek(known_bytes)

    def write(self, reject: Reject, *, dump: str | None) -> None:
        """Add a line; ``dump`` is named in it unless there is only one."""
        assert self._file
        if not self._is_device and not self._file.tell():
            self._file.write(_line(header(REJECTS)))
        self._file.write(_line({**({"file": dump} if dump else {}), **asdict(reject)}))

    def flush(self) -> int:
        """Return once all lines are durable: how many bytes they are."""
        assert self._file
        self._file.flush()
        if self._is_device:
            return 0
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file. An empty one is deleted, unless it was there and empty before."""
        if not self._file:
            return
        self._file.flush()
        if self._may_go and not self._is_device and not os.fstat(self._file.fileno()).st_size:
            self._real.unlink(missing_ok=True)
        self._file.close()


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"
