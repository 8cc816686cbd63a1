"""How far an import has come: a bar on a terminal, a plain line every few seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn

from events.importing.coordinator import Progress as ImportProgress
from events.importing.terminal import note

PLAIN_SECONDS = 5.0


class Display(Protocol):
    """Shows progress on standard error."""

    def scanned(self, position: int) -> None:
        """Show that the pass of --rebase has come to this byte of the files."""

    def show(self, progress: ImportProgress) -> None:
        """Show how far the import has come."""


@contextmanager
def progress_display(size: int) -> Iterator[Display]:
    """Yield the display that fits standard error; ``size`` is in bytes of all files, 0 when unknown."""
    if not sys.stderr.isatty():
        yield PlainLines(size)
        return
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar, log_above_the_bar():
        yield Bar(bar, size)


@contextmanager
def log_above_the_bar() -> Iterator[None]:
    """Send the log where rich takes lines for the terminal, which is its sys.stderr while a bar is shown."""
    handlers = [handler for handler in logging.root.handlers if isinstance(handler, logging.StreamHandler)]
    before = [(handler, handler.setStream(sys.stderr)) for handler in handlers if handler.stream is sys.__stderr__]
    try:
        yield
    finally:
        for handler, stream in before:
            handler.setStream(stream)


class _Rate:
    """Lines a second since the beginning."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def text(self, lines: int) -> str:
        now = time.monotonic()
        if self._first is None:
            self._first = now, lines
        began, before = self._first
        return f"{(lines - before) / max(now - began, 0.001):,.0f} lines/s" if lines > before else ""


class Bar:
    """On a terminal."""

    def __init__(self, bar: Progress, size: int) -> None:
        self._bar = bar
        self._size = size
        self._scan: TaskID | None = None
        self._import: TaskID | None = None
        self._rate = _Rate()

    def scanned(self, position: int) -> None:
        if self._scan is None:
            self._scan = self._bar.add_task("Finding the newest event", total=self._size or None, rate="")
        self._bar.update(self._scan, completed=position)

    def show(self, progress: ImportProgress) -> None:
        if self._import is None:
            self._import = self._bar.add_task("Importing", total=self._size or None, rate="")
        waiting = "[yellow]waiting for Cassandra[/yellow]" if progress.waiting_for else None
        rate = waiting or self._rate.text(progress.totals.read)
        self._bar.update(self._import, completed=progress.position, rate=rate)


class PlainLines:
    """In a log."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = time.monotonic() + PLAIN_SECONDS
        self._rate = _Rate()
        self._waiting = False

    def scanned(self, position: int) -> None:
        if self._due():
            note(f"Finding the newest event: {self._share(position)}")

    def show(self, progress: ImportProgress) -> None:
        rate = self._rate.text(progress.totals.read)
        if bool(progress.waiting_for) != self._waiting:
            self._waiting = bool(progress.waiting_for)
            note(f"Waiting for Cassandra: {progress.waiting_for}" if self._waiting else "Cassandra is back.")
        elif self._due():
            line = f"Importing: {self._share(progress.position)}, {progress.totals.read:,} lines"
            note(f"{line}, {rate}" if rate else line)

    def _share(self, position: int) -> str:
        return f"{position / self._size:.0%}" if self._size else f"{position:,} bytes"

    def _due(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + PLAIN_SECONDS
        return True
