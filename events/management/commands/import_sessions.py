"""``manage.py import_sessions FILE...``: a shell over events.importing."""

import json
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from events.checkpoint import Checkpoint, ImportFailed, Totals
from events.domain import DAY_MS, format_timestamp
from events.dump import STDIN, Dump, DumpError
from events.importing import Import, Interrupted, newest_event
from events.progress import progress_display
from events.services import wall_clock_ms

# One judges while the other waits for Cassandra; more only take its cores away.
DEFAULT_WORKERS = 2
MOST_WORKERS = 16


class Command(BaseCommand):
    """Judges every line by the rules of the API and stores it once: importing a file again changes nothing
    when its lines name their ``ts``."""

    help = "Import session events from JSON-lines dumps (bzip2, gzip or plain; - is standard input)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="a dump; - reads standard input")
        parser.add_argument(
            "--rebase", action="store_true", help="move the newest event to now, and all others by as much"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="judge every line, store nothing; rejects are written"
        )
        parser.add_argument("--resume", action="store_true", help="go on where an interrupted import of FILE ended")
        parser.add_argument(
            "--rejects", type=Path, metavar="PATH", help="where rejected lines go (default: NAME.rejects.jsonl here)"
        )
        parser.add_argument(
            "--checkpoint", type=Path, metavar="PATH", help="where progress is kept (default: NAME.checkpoint here)"
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=DEFAULT_WORKERS,
            choices=range(1, MOST_WORKERS + 1),
            metavar="N",
            help=f"processes that judge and write (default: {DEFAULT_WORKERS})",
        )
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    def handle(self, *, files: list[str], **options: Any) -> None:
        started = time.monotonic()
        name = "stdin" if files[0] == STDIN else Path(files[0]).name
        checkpoint_path = options["checkpoint"] or Path(f"{name}.checkpoint")
        # A dry run leaves alone what an interrupted import goes on with.
        kind = "dry-run.rejects" if options["dry_run"] else "rejects"
        rejects_path = options["rejects"] or Path(f"{name}.{kind}.jsonl")
        error: str | None = None
        totals = Totals()
        status = read_before = 0
        try:
            dumps = [Dump(file) for file in files]
            with progress_display(sum(dump.size for dump in dumps)) as display:
                checkpoint = self._checkpoint(dumps, checkpoint_path, options, display.scanned)
                if options["dry_run"] and not options["rejects"]:
                    checkpoint.rejects_bytes = 0  # those of before are in another file
                totals = checkpoint.totals
                read_before = totals.read
                run = Import(
                    dumps,
                    checkpoint,
                    checkpoint_path=checkpoint_path,
                    rejects_path=rejects_path,
                    workers=options["workers"],
                    dry_run=options["dry_run"],
                    on_progress=display.show,
                )
                status = self._run(run, checkpoint_path)
        except (DumpError, ImportFailed) as failure:
            error, status = str(failure), 1
        except KeyboardInterrupt:  # in the pass of --rebase
            error, status = "Stopped. Nothing was stored.", 130
        except OSError as failure:
            # A disk that is full has no file's name.
            named = failure.filename or f"{rejects_path} or {checkpoint_path}"
            error, status = f"{named}: {failure.strerror}", 1
        seconds = time.monotonic() - started
        rate = (totals.read - read_before) / seconds
        self._tell(totals, seconds=seconds, rate=rate, rejects=rejects_path, error=error, as_json=options["json"])
        if status or totals.rejected:
            sys.exit(status or 1)

    def _checkpoint(
        self, dumps: list[Dump], path: Path, options: dict[str, Any], scanned: Callable[[int], None]
    ) -> Checkpoint:
        """Where to begin: at the checkpoint of an earlier run, or at the first line."""
        identities = [dump.identity() for dump in dumps]
        if options["resume"]:
            found = Checkpoint.load(path, files=identities)
            if found:
                self.stderr.write(f"Going on behind line {found.line} of {dumps[found.file].name}.")
                return found
            self.stderr.write(f"There is no checkpoint {path}: beginning at the first line.")
        now_ms = wall_clock_ms()
        return Checkpoint(identities, now_ms, self._shift(dumps, now_ms, scanned) if options["rebase"] else 0)

    def _shift(self, dumps: list[Dump], now_ms: int, scanned: Callable[[int], None]) -> int:
        if any(dump.name == STDIN for dump in dumps):
            raise ImportFailed("--rebase reads its input twice, which standard input does not allow. Give a file.")
        newest = newest_event(dumps, scanned)
        if newest is None:
            return 0
        shift = now_ms - newest
        self.stderr.write(
            f"The newest event is of {format_timestamp(newest)}: all events are moved by {shift / DAY_MS:+.1f} days."
        )
        return shift

    def _run(self, run: Import, checkpoint_path: Path) -> int:
        """Import; SIGINT and SIGTERM end it in good order. The exit status is 0, or 128 and the signal."""
        caught: list[int] = []

        def stop(number: int, _: Any) -> None:
            caught.append(number)
            run.stop_requested = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            run.run()
        except Interrupted:
            how = f"To go on, run the same command with --resume (it reads {checkpoint_path})."
            self.stderr.write("Stopped." if run.dry_run else f"Stopped. {how}")
            return 128 + caught[0]
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return 0

    def _tell(
        self, totals: Totals, *, seconds: float, rate: float, rejects: Path, error: str | None, as_json: bool
    ) -> None:
        where = str(rejects) if totals.rejected and rejects.exists() else None
        if as_json:
            summary = {**asdict(totals), "seconds": round(seconds, 3), "rejects": where, "error": error}
            self.stdout.write(json.dumps(summary))
            return
        table = Table("lines", "number", title=None, caption=None)
        table.columns[1].justify = "right"
        for label, number in (
            ("read", totals.read),
            ("stored", totals.stored),
            ("discarded (too old)", totals.discarded),
            ("rejected", totals.rejected),
        ):
            table.add_row(label, f"{number:,}")
        console = Console(highlight=False)
        console.print(table)
        self.stdout.write(f"{rate:,.0f} lines/s in {seconds:.1f} s")
        if where:
            self.stdout.write(f"The rejected lines and why: {where}")
        if error:
            self.stderr.write(self.style.ERROR(error))
