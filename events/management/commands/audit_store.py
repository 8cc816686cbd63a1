"""``manage.py audit_store``: a shell over events.upkeep.audit."""

import json
import os
import re
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from events.importing.terminal import note, say, stopping_on_signals
from events.management.metrics_option import add_metrics_argument
from events.management.walk_display import walk_display
from events.management.walk_options import add_rate_argument, refuse_rate
from events.models import TABLES
from events.upkeep.audit import Audit, Report, State
from events.upkeep.erasing import pending_erasures
from events.upkeep.numbers import numbers
from metrics import textfile
from store import cassandra
from store.errors import StoreError

# A tenth of what the audit could read of one node that has nothing else to do. 5 million events take an hour.
DEFAULT_ROWS_PER_SECOND = 2_000
# A service on the same machine goes first.
NICENESS = 10
# What an audit that is killed does again, at most, beside a range.
SECONDS_BETWEEN_CHECKPOINTS = 10.0
# How one begins, also of another release: a line of what it belongs to, and the state as JSON.
CHECKPOINT = re.compile(r'[^\n]*\n\{"started_ms"')


class Command(BaseCommand):
    """Finds what is wrong in the tables, whoever wrote it, and fixes it with ``--fix``; a second run finds nothing.

    Exit status 0: nothing is wrong, or nothing is any more. 1: something is. Beside a running service, and on a timer.
    """

    help = (
        "Find rows that are older than the retention, that would outlive it, or that reports miss, and counts that "
        "differ from rows; and describe the data. Exit status 1 when something is wrong and was not fixed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="fix what is wrong: delete, rewrite, write, count again")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument("--keyspace", metavar="NAME", help="another keyspace than CASSANDRA_KEYSPACE")
        add_rate_argument(parser, default=DEFAULT_ROWS_PER_SECOND)
        parser.add_argument("--resume", action="store_true", help="continue where an audit was stopped")
        parser.add_argument(
            "--checkpoint",
            type=Path,
            default=Path("audit_store.checkpoint"),
            metavar="PATH",
            help="where progress is saved (audit_store.checkpoint here)",
        )
        add_metrics_argument(parser, what="what was found, when the end is reached,")

    def handle(
        self,
        *,
        fix: bool,
        json: bool,
        keyspace: str | None,
        rate: int,
        resume: bool,
        checkpoint: Path,
        metrics: Path | None,
        **options: Any,
    ) -> None:
        refuse_rate(rate)
        os.nice(NICENESS)
        if keyspace:
            settings.CASSANDRA_KEYSPACE = keyspace
        began = time.monotonic()
        try:
            _refuse_missing_tables()
            state = _resumed(checkpoint, fix=fix) if resume else _begun(checkpoint)
            status = _stoppable(state, checkpoint, fix=fix, rate=rate)
            if metrics and not status:
                textfile.write(metrics, numbers(state.report, pending_erasures(), now_seconds=time.time()))
        except StoreError as error:
            raise CommandError(f"Cassandra refuses, or does not answer: {error}") from error
        except OSError as error:
            raise CommandError(f"{error.filename or checkpoint} cannot be written: {error.strerror}.") from error
        seconds = time.monotonic() - began
        say(self.stdout, _as_json(state.report, seconds) if json else _as_text(state.report, seconds))
        if status or state.report.left:
            sys.exit(status or 1)


def _refuse_missing_tables() -> None:
    if missing := cassandra.missing_tables([table.__table_name__ for table in TABLES]):
        raise CommandError(
            f"The keyspace {settings.CASSANDRA_KEYSPACE} has no {' and no '.join(missing)}. Run sync_cassandra."
        )


def _resumed(path: Path, *, fix: bool) -> State:
    """Return the state of the audit whose checkpoint this is; a new one when there is none.

    What was read without ``--fix`` was not fixed: with it, such an audit must begin with the first row.
    """
    try:
        header, _, text = path.read_text().partition("\n")
        if header != _header(fix=fix):
            raise ValueError(f"of the keyspace {header[:60]}")
        return State.from_text(text)
    except FileNotFoundError:
        note(f"There is no checkpoint {path}: beginning with the first row.")
        return State.new()
    except ValueError as error:
        raise CommandError(f"{path} is no checkpoint of this audit ({error}). Start without --resume.") from None


def _begun(path: Path) -> State:
    """Return the state of an audit that begins. Raises CommandError when it would overwrite another file."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return State.new()
    if text and not CHECKPOINT.match(text):
        raise CommandError(
            f"{path} is there and is no checkpoint of an audit, so it is not overwritten. Name another file with "
            "--checkpoint."
        )
    return State.new()


def _header(*, fix: bool) -> str:
    """Return the first line of a checkpoint."""
    return f"{settings.CASSANDRA_KEYSPACE}, {'with' if fix else 'without'} --fix"


def _stoppable(state: State, path: Path, *, fix: bool, rate: int) -> int:
    """Run the audit; SIGINT and SIGTERM end it cleanly. Return the exit status: 0, or 128 and the signal."""
    with walk_display("Auditing") as show:
        audit = Audit(state, fix=fix, most_rows=rate, on_progress=show, on_unit=_Checkpoints(path, fix=fix).save)
        with stopping_on_signals(audit) as caught:
            ended = audit.run()
    if ended:
        path.unlink(missing_ok=True)
        return 0
    note(f"Stopped. To continue, run the same command with --resume (it reads {path}).")
    return 128 + caught[0]


class _Checkpoints:
    """The file from which a later run goes on: replaced at once, every few seconds."""

    def __init__(self, path: Path, *, fix: bool) -> None:
        self._path = path
        self._header = _header(fix=fix)
        self._next = 0.0

    def save(self, state: State) -> None:
        """Save how far the audit has come, if the last time is long enough ago."""
        if time.monotonic() < self._next:
            return
        draft = self._path.with_name(self._path.name + ".new")
        draft.write_text(f"{self._header}\n{state.text()}")
        draft.replace(self._path)
        self._next = time.monotonic() + SECONDS_BETWEEN_CHECKPOINTS


def _as_json(report: Report, seconds: float) -> str:
    problems = [
        {"table": table, "kind": kind, "found": found, "fixed": report.fixed[key]}
        for key, found in sorted(report.found.items())
        for table, _, kind in [key.partition(": ")]
    ]
    values = {"rows": report.rows, "problems": problems, "quality": +report.quality, "seconds": round(seconds, 1)}
    return json.dumps(values) + "\n"


def _as_text(report: Report, seconds: float) -> str:
    found = _table("wrong", "found", "fixed")
    for key, number in sorted(report.found.items()):
        found.add_row(key, f"{number:,}", f"{report.fixed[key]:,}")
    quality = _table("quality", "rows")
    for name, number in sorted((+report.quality).items()):
        quality.add_row(name, f"{number:,}")
    console = Console(highlight=False, width=110)
    with console.capture() as drawn:
        for table in (found, quality):
            if table.row_count:
                console.print(table)
    wrong = "" if report.found else "Nothing is wrong.\n"
    return f"{drawn.get()}{wrong}{report.rows.total():,} rows in {seconds:.1f} s\n"


def _table(*titles: str) -> Table:
    table = Table(*titles)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
