"""Which files an import may overwrite, and which it must not read: it recognizes its own by their first line."""

import fcntl
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

REJECTS, CHECKPOINT = "rejects", "checkpoint"
# A line of rejects holds up to 1,000 characters of input, each of which JSON may write as twelve.
MOST_FIRST_LINE_BYTES = 64 * 1024
# The first lines of files of former versions, which wrote no header.
FORMER_REJECT = ("line", "reason", "input")
FORMER_CHECKPOINT = ("files", "started_ms", "shift_ms", "file", "line", "rejects_bytes", "totals")
STANDARD_STREAMS = ("read as standard input", "where standard output goes", "where standard error goes")

Identity = tuple[int, int] | str


class ImportFailed(Exception):
    """The import ended before the end of its files; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that an import is to write: of which kind, and which option names it."""

    path: Path
    kind: str
    option: str


def header(kind: str) -> dict[str, str | int]:
    """Return what the files of this kind begin with."""
    return {"format": f"player-sessions {kind}", "version": 1}


def kind_of(first_line: bytes) -> str | None:
    """Return REJECTS or CHECKPOINT when a file of an import, of this or a former version, begins with this line."""
    try:
        values = json.loads(first_line)
    except (ValueError, RecursionError):
        values = None
    for kind in (REJECTS, CHECKPOINT):
        if first_line.startswith(json.dumps(header(kind))[:-1].encode()):
            return kind  # also when the end of the line was never written
        if isinstance(values, dict) and values.get("format") == header(kind)["format"]:
            return kind
    return _former_kind(values) if isinstance(values, dict) else None


def _former_kind(values: dict[str, object]) -> str | None:
    names = tuple(values)
    if names in (FORMER_REJECT, ("file", *FORMER_REJECT)) and isinstance(values["line"], int):
        return REJECTS
    return CHECKPOINT if names == FORMER_CHECKPOINT else None


def is_device(path: Path) -> bool:
    """Return whether it is one such as /dev/null or a terminal: written to, and neither emptied nor deleted."""
    return path.exists() and stat.S_ISCHR(path.stat().st_mode)


def refuse_to_overwrite(outputs: Iterable[Output], *, inputs: Iterable[str]) -> None:
    """Raise ImportFailed unless every output is new, empty, or of the same kind and written by an import.

    Nor may it be a file that is read, or that something else is written to, by whatever name or link. ``inputs`` are
    names of files. Nothing is opened for writing.
    """
    taken = _standard_streams() | {_identity(Path(name)): "to be imported" for name in inputs}
    for output in outputs:
        if output.kind == REJECTS and is_device(output.path):
            continue
        if output.path.exists() and not output.path.is_file():
            raise ImportFailed(f"{output.path} is not a file. Name one with {output.option}.")
        if used := taken.get(_identity(output.path)):
            raise ImportFailed(f"{output.path} is {used}: name another file with {output.option}.")
        _refuse_what_is_not_ours(output)
        taken[_identity(output.path)] = f"also what {output.option} names"


def _refuse_what_is_not_ours(output: Output) -> None:
    first = _first_line(output.path)
    if not first or kind_of(first) == output.kind:
        return
    raise ImportFailed(
        f"{output.path} is there and is no {output.kind} file of an import, so it is not overwritten. "
        f"Name another file with {output.option} (which takes one word), or move this one away."
    )


def _first_line(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.readline(MOST_FIRST_LINE_BYTES)


def _identity(path: Path) -> Identity:
    """Return what is equal for all names of a file, links included, whether it exists or not."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _standard_streams() -> dict[Identity, str]:
    """Return those that are files: the shell may have led them to one."""
    taken: dict[Identity, str] = {}
    for descriptor, used in enumerate(STANDARD_STREAMS):
        try:
            found = os.fstat(descriptor)
        except OSError:  # closed
            continue
        if stat.S_ISREG(found.st_mode):
            taken[found.st_dev, found.st_ino] = used
    return taken


def locked(path: Path) -> IO[bytes]:
    """Return the file, created if need be, locked until it is closed. Raises BlockingIOError when somebody has it."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # whoever had the lock has put another file in its place


def _is_still_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
