"""The import of dumps: lines are read here, judged and written by worker processes, and counted here in order."""

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import cast

from events.importing.checkpoint import Checkpoint, CheckpointFile, Totals
from events.importing.dump import Dump, DumpError
from events.importing.files import ImportFailed
from events.importing.line_validator import Reject
from events.importing.losses import FIRST_REJECTS, TooManyRejects, limit_passed, loss_warning, refusal
from events.importing.precounting import Precounting
from events.importing.read_ahead import ReadAhead
from events.importing.rejects import RejectsFile
from events.importing.worker import (
    Done,
    Failed,
    Job,
    Logged,
    Precompute,
    Precomputed,
    Ready,
    Waiting,
    log_errors_of_the_store_only,
    log_of_the_store,
    work,
)
from store.errors import StoreUnavailable

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
        checkpoint_file: CheckpointFile | None,
        rejects: RejectsFile,
        workers: int,
        most_rejects: float | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """``checkpoint_file`` is locked; without it nothing is stored. ``most_rejects`` is as losses.py has it."""
        self.checkpoint = checkpoint
        self.stop_requested = False
        self.warnings: list[str] = []
        self._dumps = dumps
        self._checkpoint_file = checkpoint_file
        self._dry_run = checkpoint_file is None
        self._rejects = rejects
        self._workers = workers
        self._most_rejects = most_rejects
        self._on_progress = on_progress
        self._sent: dict[int, _Sent] = {}
        self._done: dict[int, Done] = {}
        self._in_flight: dict[Connection, int] = {}  # jobs of each worker
        self._ready: set[Connection] = set()
        self._precounting = Precounting()
        self._counting: set[Connection] = set()  # workers that count
        self._next_number = 0  # of the first job that is not known to be durable
        self._first_rejects: list[Reject] = []  # of the file that is being read
        self._progress = Progress(checkpoint.totals, 0)
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Import to the end. Raises DumpError, ImportFailed, Interrupted; the checkpoint is then up to date.

        Until every worker can write, the files of an earlier import stay as they are.
        """
        with ExitStack() as stack:
            stack.callback(log_of_the_store().setLevel, log_of_the_store().level)
            log_errors_of_the_store_only()
            known_bytes = self.checkpoint.rejects_bytes
            stack.callback(self._rejects.close)
            self._rejects.open(known_bytes=known_bytes)
            pipes = [self._start_worker(stack) for _ in range(self._workers)]
            self._await_workers(pipes)
            if self._checkpoint_file:
                self._checkpoint_file.save(self.checkpoint)
            # Not before: what the earlier checkpoint knows of must be there until there is a later one.
            self._rejects.begin(known_bytes=known_bytes)
            try:
                self._feed(pipes)
                self._mark_the_rest()
                self._precompute(pipes)
            except (DumpError, TooManyRejects):
                self._end(resumable=bool(self.checkpoint.totals.stored))
                raise
            except BaseException:
                self._end(resumable=True)
                raise
            self._end()

    def _end(self, *, resumable: bool = False) -> None:
        """Have everything in the files; without anything stored there is nothing that another run could count twice."""
        self._save()
        self._tell_of_losses()
        if self._checkpoint_file and not resumable:
            self._checkpoint_file.remove()

    def _await_workers(self, pipes: Sequence[Connection]) -> None:
        """Return when all can write. Raises ImportFailed when one cannot, Interrupted when a stop is asked for."""
        while len(self._ready) < len(pipes):
            if self.stop_requested:
                raise Interrupted
            for ready in wait(pipes, timeout=WAIT_SECONDS):
                self._receive(cast(Connection, ready))

    def _start_worker(self, stack: ExitStack) -> Connection:
        context = multiprocessing.get_context("spawn")  # a forked driver session hangs
        ours, theirs = context.Pipe()
        options = {
            "now_ms": self.checkpoint.started_ms,
            "shift_ms": self.checkpoint.shift_ms,
            "dry_run": self._dry_run,
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

    def _feed(self, pipes: Sequence[Connection]) -> None:
        """Keep every worker busy until the files end, one breaks or has too many rejects, or a stop is asked for; then
        wait for the rest."""
        jobs = ReadAhead(self._jobs(), most=JOBS_PER_WORKER * len(pipes))
        self._in_flight = dict.fromkeys(pipes, 0)
        broken: DumpError | TooManyRejects | None = None
        exhausted = False
        give_up_at: float | None = None
        while not exhausted or any(self._in_flight.values()):
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
            refused = self._advance()
            broken, exhausted = broken or refused, exhausted or bool(refused)
        if broken:
            raise broken
        if self.stop_requested:
            raise Interrupted

    def _hand_out(self, jobs: ReadAhead[Job], pipes: Sequence[Connection]) -> bool:
        """Give each worker what it has room for; whether there was enough. Raises StopIteration at the end."""
        for pipe in pipes:
            while self._in_flight[pipe] < JOBS_PER_WORKER:
                job = jobs.take()
                if job is None:
                    return False
                try:
                    pipe.send(job)
                except (BrokenPipeError, ConnectionResetError):
                    self._receive(pipe)  # its last word: why it ended
                self._in_flight[pipe] += 1
        return True

    def _mark_the_rest(self) -> None:
        """Have the reports know of everything; waits for Cassandra. Raises Interrupted when a stop is asked for."""
        while not self._dry_run:
            try:
                self._precounting.mark()
                return
            except StoreUnavailable as error:
                self._progress.waiting_for = str(error)
                self._on_progress(self._progress)
            if self.stop_requested:
                raise Interrupted
            time.sleep(WAIT_SECONDS)

    def _precompute(self, pipes: Sequence[Connection]) -> None:
        """Have the workers count the days that were written to; a stop is then only a matter of speed for reports."""
        for pipe, days in zip(pipes, self._precounting.shares(len(pipes)), strict=True):
            if days:
                pipe.send(Precompute(days))
                self._counting.add(pipe)
        while self._counting and not self.stop_requested:
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
        if isinstance(message, Logged):
            logging.getLogger(message.logger).log(message.level, "%s", message.text)
            return
        if isinstance(message, Ready):
            self._ready.add(pipe)
            return
        if isinstance(message, Waiting):
            self._progress.waiting_for = message.reason
            return
        self._progress.waiting_for = None
        if isinstance(message, Precomputed):
            self._counting.discard(pipe)
            return
        self._done[message.number] = message
        self._in_flight[pipe] -= 1

    def _advance(self) -> TooManyRejects | None:
        """Count the jobs that are done without a gap, and save the checkpoint from time to time; why to stop."""
        refused: TooManyRejects | None = None
        while (done := self._done.pop(self._next_number, None)) is not None:
            sent = self._sent.pop(self._next_number)
            self._precounting.wrote(done.hours)
            self._next_number += 1
            self._count(done, sent)
            refused = refused or self._refused(sent)
        self._on_progress(self._progress)
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self._save()
        return refused

    def _count(self, done: Done, sent: _Sent) -> None:
        if sent.file != self.checkpoint.file:
            self._tell_of_losses()
            self.checkpoint.of_file, self._first_rejects = Totals(), []
        for totals in (self.checkpoint.totals, self.checkpoint.of_file):
            totals.add(read=done.read, stored=done.stored, discarded=done.discarded, rejected=len(done.rejects))
        dump = self._dumps[sent.file].name if len(self._dumps) > 1 else None
        for reject in done.rejects:
            self._rejects.write(reject, dump=dump)
        self._first_rejects += done.rejects[: FIRST_REJECTS - len(self._first_rejects)]
        self.checkpoint.file, self.checkpoint.line = sent.file, sent.last_line
        self._progress.position = sent.position

    def _refused(self, sent: _Sent) -> TooManyRejects | None:
        """Why not to read on."""
        of_file = self.checkpoint.of_file
        why = limit_passed(self.checkpoint.totals, of_file, most_rejects=self._most_rejects)
        if not why:
            return None
        return refusal(self._dumps[sent.file].name, why, self._first_rejects, most_rejects=self._most_rejects)

    def _tell_of_losses(self) -> None:
        """What became of the file that was read last."""
        name = self._dumps[self.checkpoint.file].name
        shift_ms = self.checkpoint.shift_ms
        warning = loss_warning(name, self.checkpoint.of_file, self._first_rejects, shift_ms=shift_ms)
        if warning:
            self.warnings.append(warning)

    def _save(self) -> None:
        """Save the checkpoint once the reports know of everything before it: what is behind it is written again."""
        if not self._checkpoint_file:
            return
        self._saved_at = time.monotonic()
        try:
            self._precounting.mark()
        except StoreUnavailable:
            return
        self.checkpoint.rejects_bytes = self._rejects.flush()
        self._checkpoint_file.save(self.checkpoint)
