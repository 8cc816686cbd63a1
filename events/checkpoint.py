"""How far an import has come: what a later run needs to go on.

A checkpoint names the last line up to which everything is durable. It is written before the first write, so that a
run which is killed at any moment goes on with the same clock and the same shift, and ends with the same rows.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


class ImportFailed(Exception):
    """The import ended before the end of its files; the message says why and what to do."""


@dataclass(slots=True)
class Totals:
    """Lines so far; empty ones do not count."""

    read: int = 0
    stored: int = 0
    discarded: int = 0
    rejected: int = 0


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

    def save(self, path: Path) -> None:
        """Replace the file at once: a reader finds the old one or the new one."""
        draft = path.with_name(path.name + ".new")
        with draft.open("w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @classmethod
    def load(cls, path: Path, *, files: list[str]) -> "Checkpoint | None":
        """The checkpoint at ``path``; None when there is none. Raises ImportFailed when it is of other files."""
        try:
            values = json.loads(path.read_text())
            checkpoint = cls(**{**values, "totals": Totals(**values["totals"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise ImportFailed(f"{path} is no checkpoint. Start without --resume.") from None
        if checkpoint.files != files:
            raise ImportFailed(
                f"{path} is the checkpoint of other files, or they have changed. Start without --resume."
            )
        return checkpoint
