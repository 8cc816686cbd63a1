"""How far a walk through the tables has come: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from events.importing.progress import PLAIN_SECONDS, log_above_the_bar
from events.importing.terminal import note
from events.upkeep.walk import Progress


@contextmanager
def walk_display(title: str) -> Iterator[Callable[[Progress], None]]:
    """Yield what shows progress on standard error; ``title`` is what is done, for lines in a log."""
    if not sys.stderr.isatty():
        yield _PlainLines(title).show
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with RichProgress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar, log_above_the_bar():
        task = bar.add_task(title)

        def show(progress: Progress) -> None:
            waiting = "[yellow]waiting for Cassandra[/yellow]" if progress.waiting_for else None
            bar.update(task, description=waiting or progress.unit.name, completed=progress.done, total=progress.units)

        yield show


class _PlainLines:
    """In a log."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._next = time.monotonic() + PLAIN_SECONDS

    def show(self, progress: Progress) -> None:
        """Note how far the walk has come, if the last line is long enough ago."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            waiting = f"waiting for Cassandra: {progress.waiting_for}" if progress.waiting_for else progress.unit.name
            note(f"{self._title}: {progress.done / progress.units:.0%}, {progress.rows:,} rows, {waiting}")
