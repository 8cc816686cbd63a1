"""The import of dumps: lines are read here, judged and written by worker processes, and counted here in order."""

import fcntl
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any, cast

from events.checkpoint import Checkpoint, ImportFailed, Totals
from events.dump import Dump, DumpError
from events.import_worker import Done, Failed, Job, Released, Settled, Waiting, work
from events.judge import Reject, newest_timestamp
from events.read_ahead import ReadAhead
from events.settling import Settling

# One being written, one waiting: a worker never waits for us, and memory stays small.
JOBS_PER_WORKER = 2
# Small enough that little is repeated after a kill, large enough that handing over costs nothing.
LINES_PER_JOB = 2_000
# How long to wait for workers: when all have enough to do, and when a job may come at any moment.
WAIT_SECONDS, HUNGRY_WAIT_SECONDS = 0.2, 0.01
CHECKPOINT_SECONDS = 1.0
# How long an interrupted import waits for writes under way; beyond that the checkpoint is simply older.
FINISH_SECONDS = 10.0


class Interrupted(Exception):
    """The import was asked to stop, did so, and can be resumed."""


@dataclass(slots=True)
class Progress:
    """What a progress bar shows."""

    totals: Totals
    position: int  # bytes of the files, as they lie on disk, up to which everything is durable
    waiting_for: str | None = None


@dataclass(slots=True)
class _Sent:
    """Where a job ends."""

    file: int
    last_line: int
    position: int


class Import:
    """One run over some files."""

    def __init__(
        self,
        dumps: Sequence[Dump],
        checkpoint: Checkpoint,
        *,
        checkpoint_path: Path,
        rejects_path: Path,
        workers: int,
        dry_run: bool,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.checkpoint = checkpoint
        self.stop_requested = False
        self._dumps = dumps
        self._checkpoint_path = checkpoint_path
        self._rejects_path = rejects_path
        self._workers = workers
        self.dry_run = dry_run
        self._on_progress = on_progress
        self._sent: dict[int, _Sent] = {}
        self._done: dict[int, Done] = {}
        self._under_way: dict[Connection, int] = {}  # jobs of each worker
        self._next_number = 0  # of the first job that is not known to be durable
        self._progress = Progress(checkpoint.totals, 0)
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Import to the end. Raises DumpError, ImportFailed, Interrupted; the checkpoint is then up to date."""
        for path, option in ((self._checkpoint_path, "--checkpoint"), (self._rejects_path, "--rejects")):
            if path.exists() and not path.is_file():
                raise ImportFailed(f"{path} is not a file. Name one with {option}.")
        with ExitStack() as stack:
            rejects = stack.enter_context(self._open_rejects())
            if not self.dry_run:
                self.checkpoint.save(self._checkpoint_path)
            # Not before: what the earlier checkpoint knows of must be there until there is a later one.
            rejects.truncate(self.checkpoint.rejects_bytes)
            rejects.seek(self.checkpoint.rejects_bytes)
            pipes = [self._start_worker(stack) for _ in range(self._workers)]
            self._settling = Settling(pipes)
            try:
                self._feed(pipes, rejects)
                self._settle(pipes)
            finally:
                self._save(rejects)
                if not self.checkpoint.totals.rejected:
                    self._rejects_path.unlink(missing_ok=True)
            if not self.dry_run:
                self._checkpoint_path.unlink(missing_ok=True)

    def _start_worker(self, stack: ExitStack) -> Connection:
        context = multiprocessing.get_context("spawn")  # a forked driver session hangs
        ours, theirs = context.Pipe()
        options = {
            "now_ms": self.checkpoint.started_ms,
            "shift_ms": self.checkpoint.shift_ms,
            "dry_run": self.dry_run,
        }
        process = context.Process(target=work, args=(theirs,), kwargs=options, daemon=True)
        # The worker inherits what is blocked: the parent alone decides what Ctrl-C means, and gets it afterwards.
        resource_tracker.ensure_running()  # its own start would unblock them
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        stack.callback(process.kill)
        stack.callback(process.join, 1.0)
        stack.callback(ours.close)
        return ours

    def _feed(self, pipes: Sequence[Connection], rejects: IO[bytes]) -> None:
        """Keep every worker busy until the files end, one breaks, or a stop is asked for; then wait for the rest."""
        jobs = ReadAhead(self._jobs(), most=JOBS_PER_WORKER * len(pipes))
        self._under_way = dict.fromkeys(pipes, 0)
        broken: DumpError | None = None
        exhausted = False
        give_up_at: float | None = None
        while not exhausted or any(self._under_way.values()):
            if self.stop_requested:
                exhausted, give_up_at = True, give_up_at or time.monotonic() + FINISH_SECONDS
                if time.monotonic() > give_up_at:
                    break
            all_busy = True
            try:
                all_busy = exhausted or self._hand_out(jobs, pipes)
            except StopIteration:
                exhausted = True
            except DumpError as error:
                broken, exhausted = error, True
            for ready in wait(pipes, timeout=WAIT_SECONDS if all_busy else HUNGRY_WAIT_SECONDS):
                self._receive(cast(Connection, ready))
            self._advance(rejects)
        if broken:
            raise broken
        if self.stop_requested:
            raise Interrupted

    def _hand_out(self, jobs: ReadAhead[Job], pipes: Sequence[Connection]) -> bool:
        """Give each worker what it has room for; whether there was enough. Raises StopIteration at the end."""
        for pipe in pipes:
            while self._under_way[pipe] < JOBS_PER_WORKER:
                job = jobs.take()
                if job is None:
                    return False
                try:
                    pipe.send(job)
                except (BrokenPipeError, ConnectionResetError):
                    self._receive(pipe)  # its last word: why it ended
                self._under_way[pipe] += 1
        return True

    def _settle(self, pipes: Sequence[Connection]) -> None:
        """Have the workers count the days that were written to; a stop is then only a matter of speed for reports."""
        self._await_round(pipes)
        if not self.dry_run:
            self._settling.finish()
            self._await_round(pipes)

    def _await_round(self, pipes: Sequence[Connection]) -> None:
        while self._settling.is_under_way and not self.stop_requested:
            for ready in wait(pipes, timeout=WAIT_SECONDS):
                self._receive(cast(Connection, ready))

    def _jobs(self) -> Iterator[Job]:
        """The lines behind the checkpoint, cut to jobs."""
        number = 0
        before = 0  # bytes of the files before this one
        begin_file, begin_line = self.checkpoint.file, self.checkpoint.line
        for index, dump in enumerate(self._dumps):
            if index >= begin_file:
                skip = begin_line if index == begin_file else 0
                for block in dump.blocks():
                    for first in range(max(0, skip + 1 - block.first_line), len(block.lines), LINES_PER_JOB):
                        lines = block.lines[first : first + LINES_PER_JOB]
                        line = block.first_line + first
                        self._sent[number] = _Sent(index, line + len(lines) - 1, before + block.position)
                        yield Job(number, self.checkpoint.files[index], line, lines)
                        number += 1
            before += dump.size

    def _receive(self, pipe: Connection) -> None:
        try:
            message = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise ImportFailed("A worker process ended unexpectedly. Run the same command with --resume.") from None
        if isinstance(message, Failed):
            raise ImportFailed(message.reason)
        if isinstance(message, Waiting):
            self._progress.waiting_for = message.reason
            return
        self._progress.waiting_for = None
        if isinstance(message, Released):
            self._settling.released(pipe, message)
            return
        if isinstance(message, Settled):
            self._settling.settled(pipe)
            return
        self._done[message.number] = message
        self._under_way[pipe] -= 1

    def _advance(self, rejects: IO[bytes]) -> None:
        """Count the jobs that are done without a gap, and save the checkpoint from time to time."""
        totals = self.checkpoint.totals
        while (done := self._done.pop(self._next_number, None)) is not None:
            sent = self._sent.pop(self._next_number)
            self._settling.wrote(done.hours, job=self._next_number)
            self._next_number += 1
            totals.read += done.read
            totals.stored += done.stored
            totals.discarded += done.discarded
            totals.rejected += len(done.rejects)
            for reject in done.rejects:
                rejects.write(_reject_line(reject, self._dumps[sent.file].name, several=len(self._dumps) > 1))
            self.checkpoint.file, self.checkpoint.line = sent.file, sent.last_line
            self._progress.position = sent.position
        self._on_progress(self._progress)
        if not self.dry_run:
            self._settling.advance(durable_jobs=self._next_number)
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self._save(rejects)

    def _save(self, rejects: IO[bytes]) -> None:
        if self.dry_run:
            return
        rejects.flush()
        os.fsync(rejects.fileno())
        self.checkpoint.rejects_bytes = rejects.tell()
        self.checkpoint.save(self._checkpoint_path)
        self._saved_at = time.monotonic()

    def _open_rejects(self) -> IO[bytes]:
        """The rejects file, locked. It is to be cut to what the checkpoint knows of: lines behind are judged again."""
        exists = self._rejects_path.exists()
        if self.checkpoint.rejects_bytes > (self._rejects_path.stat().st_size if exists else 0):
            raise ImportFailed(
                f"{self._rejects_path} does not hold the rejects of the import that is to be resumed. "
                "Name their file with --rejects, or start without --resume."
            )
        file = self._rejects_path.open("r+b" if exists else "x+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ImportFailed(
                f"Another import writes to {self._rejects_path}. Name other files with --rejects and --checkpoint."
            ) from None
        return file


def newest_event(dumps: Sequence[Dump], on_position: Callable[[int], None]) -> int | None:
    """The latest ``ts`` of all files, in milliseconds; one pass over them. Raises DumpError."""
    newest: int | None = None
    before = 0
    for dump in dumps:
        for block in dump.blocks():
            found = newest_timestamp(block.lines)
            newest = max((one for one in (newest, found) if one is not None), default=None)
            on_position(before + block.position)
        before += dump.size
    return newest


def _reject_line(reject: Reject, name: str, *, several: bool) -> bytes:
    told: dict[str, Any] = {"file": name} if several else {}
    return json.dumps({**told, **asdict(reject)}).encode() + b"\n"
