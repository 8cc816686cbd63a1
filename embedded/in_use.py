"""Commands that use the stack at the same time: the last of them stops what was started for any."""

import fcntl
from collections.abc import Iterable
from pathlib import Path


class InUse:
    """A file that every such command holds a shared lock on; it has the names of what is to be stopped in the end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "in-use").open("a+")

    def begin(self) -> None:
        """Begin: from now on nobody stops the stack; returns when nobody is stopping it."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def end(self, started: Iterable[str]) -> set[str]:
        """Return what is to be stopped now: all that was ``started`` for commands, or nothing while others go on.

        The next command waits in ``begin`` until this process has ended.
        """
        self._file.writelines(f"{name}\n" for name in started)
        self._file.flush()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return set()
        self._file.seek(0)
        names = set(self._file.read().splitlines())
        self.forget()
        return names

    def forget(self) -> None:
        """Forget what was started until now: it stays."""
        self._file.truncate(0)
