"""``manage.py import_sessions FILE...``: a shell over events.importing.coordinator."""

import json
import math
import signal
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from events.clock import latest_moment_ms, wall_clock_ms
from events.importing.checkpoint import Checkpoint, CheckpointFile, Totals
from events.importing.coordinator import Import, Interrupted, Progress
from events.importing.dump import STDIN, Dump, DumpError
from events.importing.files import ImportFailed, refuse_to_overwrite
from events.importing.keyspace_dump import TABLES, KeyspaceDump
from events.importing.losses import LINES_THAT_TELL
from events.importing.progress import progress_display
from events.importing.rebase import newest_event, shift_in_words, shift_message
from events.importing.rejects import RejectsFile
from events.importing.terminal import note, say, stopping_on_signals
from events.importing.textfile import Textfile
from events.management.metrics_option import add_metrics_argument

# One validates while the other waits for Cassandra; more only take its cores away.
DEFAULT_WORKERS = 2
MOST_WORKERS = 16


@dataclass(slots=True)
class Summary:
    """What a run says in the end."""

    dry_run: bool
    totals: Totals = field(default_factory=Totals)
    shift_ms: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    rejects: str | None = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None

    def as_json(self) -> str:
        """Return one object; what a dry run would store is not called stored."""
        numbers: dict[str, Any] = asdict(self.totals)
        if self.dry_run:
            numbers = {**numbers, "stored": 0, "would_be_stored": self.totals.stored}
        numbers |= {"seconds": round(self.seconds, 3), "shift_ms": self.shift_ms, "rejects": self.rejects}
        return json.dumps({**numbers, "warnings": self.warnings, "error": self.error})

    def as_text(self) -> str:
        """Return a table, the speed, and where the rejects are; nothing when no line was read for an error."""
        if self.error and not self.totals.read:
            return ""
        table = Table("lines", "number", title=None, caption=None)
        table.columns[1].justify = "right"
        for label, number in (
            ("read", self.totals.read),
            ("would be stored" if self.dry_run else "stored", self.totals.stored),
            ("discarded (too old, or erased)", self.totals.discarded),
            ("rejected", self.totals.rejected),
        ):
            table.add_row(label, f"{number:,}")
        console = Console(highlight=False)
        with console.capture() as drawn:
            console.print(table)
        speed = f"{self.rate:,.0f} lines/s in {self.seconds:.1f} s\n"
        return drawn.get() + speed + (f"The rejected lines and why: {self.rejects}\n" if self.rejects else "")


class Command(BaseCommand):
    """Validates every line by the rules of the API and stores it once.

    Importing a file again changes nothing when its lines name their ``ts``.
    """

    help = "Import session events from JSON-lines dumps (bzip2, gzip or plain; - is standard input)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="a dump; - reads standard input")
        parser.add_argument(
            "--from-keyspace",
            metavar="NAME",
            help="instead of files: the tables of the earlier service in this keyspace",
        )
        parser.add_argument(
            "--rebase", action="store_true", help="move the newest event to now, and all others by the same time"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="validate every line, store nothing; rejects are written"
        )
        parser.add_argument("--resume", action="store_true", help="continue where an interrupted import of FILE ended")
        parser.add_argument(
            "--rejects", type=Path, metavar="PATH", help="where rejected lines go (default: NAME.rejects.jsonl here)"
        )
        parser.add_argument(
            "--max-rejects",
            type=_most_rejects,
            metavar="N|all",
            help=f"stop when more than N lines are rejected (default: when all of the first {LINES_THAT_TELL:,} lines "
            "of a file are)",
        )
        parser.add_argument(
            "--checkpoint", type=Path, metavar="PATH", help="where progress is saved (default: NAME.checkpoint here)"
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=DEFAULT_WORKERS,
            choices=range(1, MOST_WORKERS + 1),
            metavar="N",
            help=f"processes that validate and write (default: {DEFAULT_WORKERS})",
        )
        add_metrics_argument(parser, what="progress, once a second,")
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    def handle(self, *, files: list[str], **options: Any) -> None:
        if bool(files) == bool(options["from_keyspace"]):
            raise CommandError("Name one or more files, or --from-keyspace.")
        started = time.monotonic()
        summary = Summary(options["dry_run"])
        run = _Run(files, options, summary)
        status = run.status()
        summary.seconds = time.monotonic() - started
        summary.rate = (summary.totals.read - run.read_before) / summary.seconds
        for warning in summary.warnings:
            note(self.style.WARNING(f"WARNING: {warning}"))
        if output := summary.as_json() + "\n" if options["json"] else summary.as_text():
            say(self.stdout, output)
        if summary.error and not options["json"]:
            note(self.style.ERROR(summary.error))
        if status or summary.totals.rejected:
            sys.exit(status or 1)


class _Run:
    """One call of the command: its files, and what it comes to."""

    def __init__(self, files: Sequence[str], options: dict[str, Any], summary: Summary) -> None:
        self._keyspace: str | None = options["from_keyspace"]
        name = self._keyspace or ("stdin" if files[0] == STDIN else Path(files[0]).name)
        # A dry run leaves alone what an interrupted import goes on with.
        kind = "dry-run.rejects" if options["dry_run"] else "rejects"
        self._files = files
        self._options = options
        self._summary = summary
        self._checkpoint_path: Path = options["checkpoint"] or Path(f"{name}.checkpoint")
        self._rejects_path: Path = options["rejects"] or Path(f"{name}.{kind}.jsonl")
        self.read_before = 0  # by the runs that this one resumes

    def status(self) -> int:
        """Import, and give the exit status: 0, 1 for an error, which the summary has, or 128 and a signal."""
        try:
            return self._import()
        except (DumpError, ImportFailed) as failure:
            self._summary.error = str(failure)
        except KeyboardInterrupt:  # in the pass of --rebase
            self._summary.error = "Stopped. Nothing was stored."
            return 128 + signal.SIGINT
        except OSError as failure:
            # A disk that is full has no file's name.
            named = failure.filename or f"{self._rejects_path} or {self._checkpoint_path}"
            self._summary.error = f"{named}: {failure.strerror}"
        return 1

    def _import(self) -> int:
        dry_run: bool = self._options["dry_run"]
        checkpoint_file, rejects = CheckpointFile(self._checkpoint_path), RejectsFile(self._rejects_path)
        refuse_to_overwrite(
            [rejects.output(), *(checkpoint_file.outputs() if self._options["resume"] or not dry_run else [])],
            inputs=[file for file in self._files if file != STDIN],
        )
        dumps = [*self._dumps()]
        with ExitStack() as stack:
            if not dry_run:
                stack.enter_context(checkpoint_file)
            size = sum(dump.size for dump in dumps)
            display = stack.enter_context(progress_display(size))
            textfile = Textfile(self._options["metrics"], size=size) if self._options["metrics"] else None
            checkpoint = self._checkpoint(dumps, display.scanned)
            if dry_run and not self._options["rejects"]:
                checkpoint.rejects_bytes = 0  # those of before are in another file
            self._summary.totals, self._summary.shift_ms = checkpoint.totals, checkpoint.shift_ms
            self.read_before = checkpoint.totals.read
            run = Import(
                dumps,
                checkpoint,
                checkpoint_file=None if dry_run else checkpoint_file,
                rejects=rejects,
                workers=self._options["workers"],
                most_rejects=self._options["max_rejects"],
                on_progress=_to_all([display.show, *([textfile.show] if textfile else [])]),
            )
            try:
                status = self._stoppable(run)
                if textfile:
                    textfile.write(run.progress, ended=not status)
                return status
            finally:
                self._summary.warnings += [warning for dump in dumps for warning in dump.warnings] + run.warnings
                if checkpoint.totals.rejected and self._rejects_path.exists():
                    self._summary.rejects = str(self._rejects_path)

    def _dumps(self) -> Iterator[Dump]:
        """Yield what is imported. Raises DumpError."""
        if self._keyspace:
            yield from (KeyspaceDump(self._keyspace, table) for table in TABLES)
        yield from map(Dump, self._files)

    def _checkpoint(self, dumps: list[Dump], scanned: Callable[[int], None]) -> Checkpoint:
        """Return where to begin: at the checkpoint of an earlier run, or at the first line."""
        path = self._checkpoint_path
        identities = [dump.identity() for dump in dumps]
        if self._options["resume"]:
            found = Checkpoint.load(path, files=identities)
            if found:
                note(f"Continuing after line {found.line} of {dumps[found.file].name}.")
                if found.shift_ms:
                    note(f"All events are moved by {shift_in_words(found.shift_ms)}, as before.")
                return found
            note(f"There is no checkpoint {path}: beginning at the first line.")
        elif not self._options["dry_run"] and path.exists() and path.stat().st_size:
            self._begin_anew(path)
        now_ms = wall_clock_ms()
        return Checkpoint(identities, now_ms, self._shift(dumps, now_ms, scanned) if self._options["rebase"] else 0)

    def _begin_anew(self, path: Path) -> None:
        """Begin alongside the checkpoint of an earlier run: harmless, unless events move to other times."""
        if self._options["rebase"]:
            raise ImportFailed(
                f"{path} is the checkpoint of an interrupted import: beginning anew with --rebase would store its "
                "events once more, at other times. Continue with --resume. If its events were deleted, delete it."
            )
        note(f"{path} is the checkpoint of an interrupted import: beginning anew (--resume would continue it).")

    def _shift(self, dumps: list[Dump], now_ms: int, scanned: Callable[[int], None]) -> int:
        if any(dump.name == STDIN for dump in dumps):
            raise ImportFailed("--rebase reads its input twice, which standard input does not allow. Give a file.")
        newest = newest_event(dumps, latest_ms=latest_moment_ms(now_ms), on_position=scanned)
        if newest is None:
            note("No event has a time up to now: nothing is moved.")
            return 0
        note(shift_message(newest, now_ms - newest))
        return now_ms - newest

    def _stoppable(self, run: Import) -> int:
        """Import; SIGINT and SIGTERM end it in good order. The exit status is 0, or 128 and the signal."""
        with stopping_on_signals(run) as caught:
            try:
                run.run()
            except Interrupted:
                path = self._checkpoint_path
                resumable = not self._options["dry_run"] and path.exists() and path.stat().st_size
                how = f" To continue, run the same command with --resume (it reads {path})." if resumable else ""
                note(f"Stopped.{how}")
                return 128 + caught[0]
        return 0


def _to_all(shown: Sequence[Callable[[Progress], None]]) -> Callable[[Progress], None]:
    """Return what shows progress in each of these ways."""

    def show_all(progress: Progress) -> None:
        for show in shown:
            show(progress)

    return show_all


def _most_rejects(text: str) -> float:
    if text == "all":
        return math.inf
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is neither a number of lines nor 'all'")
    return int(text)
