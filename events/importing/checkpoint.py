"""How far an import has come: what a later run needs to continue.

A checkpoint names the last line up to which everything is durable. It is written before the first write, so that a run
that was killed at any moment continues with the same clock and the same shift, and ends with the same rows.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from events.importing.files import CHECKPOINT, ImportFailed, Output, header, locked


@dataclass(slots=True)
class Totals:
    """Lines so far; empty ones do not count."""

    read: int = 0
    stored: int = 0
    discarded: int = 0
    rejected: int = 0

    def add(self, *, read: int, stored: int, discarded: int, rejected: int) -> None:
        """Count some more lines."""
        self.read += read
        self.stored += stored
        self.discarded += discarded
        self.rejected += rejected


@dataclass(slots=True)
class Checkpoint:
    """How far an import has come: everything up to ``line`` of file number ``file`` is durable."""

    files: list[str]
    started_ms: int
    shift_ms: int
    file: int = 0
    line: int = 0
    rejects_bytes: int = 0
    totals: Totals = field(default_factory=Totals)
    of_file: Totals = field(default_factory=Totals)  # the part of ``totals`` that is of ``file``

    def text(self) -> str:
        """Return its text for a file."""
        return json.dumps({**header(CHECKPOINT), **asdict(self)})

    @classmethod
    def load(cls, path: Path, *, files: list[str]) -> "Checkpoint | None":
        """Return the checkpoint at ``path``; None when there is none. Raises ImportFailed when it is of other files."""
        try:
            text = path.read_text()
            values = json.loads(text) if text else None
        except FileNotFoundError:
            return None
        except ValueError:
            raise _no_checkpoint(path) from None
        checkpoint = _checkpoint(path, values) if values is not None else None
        if checkpoint and checkpoint.files != files:
            raise ImportFailed(
                f"{path} is the checkpoint of other files, or they have changed. Start without --resume."
            )
        return checkpoint


def _checkpoint(path: Path, values: dict[str, object]) -> Checkpoint:
    """Return one of this version or of the former one, which had no header and did not count each file."""
    try:
        known = {name: value for name, value in values.items() if name not in header(CHECKPOINT)}
        counted = {name: Totals(**known.pop(name, {})) for name in ("totals", "of_file")}  # type: ignore[arg-type]
        return Checkpoint(**known, **counted)  # type: ignore[arg-type]
    except (TypeError, AttributeError):
        raise _no_checkpoint(path) from None


def _no_checkpoint(path: Path) -> ImportFailed:
    return ImportFailed(f"{path} is no checkpoint. Start without --resume.")


class CheckpointFile:
    """The checkpoint file of one run, which no other run can use meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = Path(os.path.realpath(path))  # a link stays one
        self._draft = self._real.with_name(self._real.name + ".new")
        self._locked: IO[bytes] | None = None
        self._is_ours = True

    def outputs(self) -> list[Output]:
        """Return what a run writes."""
        return [Output(path, CHECKPOINT, "--checkpoint") for path in (self.path, self._draft)]

    def __enter__(self) -> Self:
        """Lock it. Raises ImportFailed when another import has it."""
        self._is_ours = not (self._real.exists() and not self._real.stat().st_size)
        try:
            self._locked = locked(self._real)
        except BlockingIOError:
            raise ImportFailed(
                f"Another import has the checkpoint {self.path}. Wait for its end, or name another with --checkpoint."
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unlock it, and delete it if it was never saved."""
        if self._is_ours and self._real.exists() and not self._real.stat().st_size:
            self._real.unlink()
        if self._locked:
            self._locked.close()

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the file at once: a reader finds the old one or the new one, and both are locked."""
        draft = locked(self._draft)
        draft.truncate()
        draft.write(checkpoint.text().encode())
        draft.flush()
        os.fsync(draft.fileno())
        self._draft.replace(self._real)
        if self._locked:
            self._locked.close()
        self._locked = draft

    def remove(self) -> None:
        """Delete it: the import has ended."""
        self._real.unlink(missing_ok=True)
