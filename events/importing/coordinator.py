"""The import of dumps: lines are read here, validated and written by worker processes, and counted here in order."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from events.importing.accounts import Accounts
from events.importing.checkpoint import Checkpoint, CheckpointFile, Totals
from events.importing.dump import Dump, DumpError
from events.importing.files import ImportFailed
from events.importing.jobs import jobs_behind
from events.importing.losses import TooManyRejects
from events.importing.read_ahead import ReadAhead
from events.importing.rejects import RejectsFile
from events.importing.worker import log_of_store, only_errors_of_store, rejected_message
from events.importing.worker_pool import WorkerPool
from events.importing.written_hours import WrittenHours
from store.errors import StatementRejected, StoreUnavailable

# How long to wait for workers: when all are busy, and when the next job may come at any moment.
WAIT_SECONDS, HUNGRY_WAIT_SECONDS = 0.2, 0.01
CHECKPOINT_SECONDS = 1.0
# How long an interrupted import waits for writes in flight; beyond that the checkpoint is simply older.
FINISH_SECONDS = 10.0


class Interrupted(Exception):
    """The import was asked to stop, did so, and can be resumed."""


@dataclass(slots=True)
class Progress:
    """What a progress bar shows."""

    totals: Totals
    position: int  # bytes of the files, as they lie on disk, up to which everything is durable
    waiting_for: str | None = None


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
        """``checkpoint_file`` is locked; without it nothing is stored. ``most_rejects`` is as in losses.py."""
        self.checkpoint = checkpoint
        self.stop_requested = False
        self._dumps = dumps
        self._checkpoint_file = checkpoint_file
        self._rejects = rejects
        self._on_progress = on_progress
        self._accounts = Accounts(dumps, checkpoint, rejects, most_rejects=most_rejects)
        self._pool = WorkerPool(workers, on_wait=self._wait_for)
        self._workers = workers
        self._written_hours = WrittenHours()
        self.progress = Progress(checkpoint.totals, 0)
        self._saved_at = time.monotonic()

    @property
    def warnings(self) -> list[str]:
        """About files most of whose lines are not stored."""
        return self._accounts.warnings

    def run(self) -> None:
        """Import to the end. Raises DumpError, ImportFailed, Interrupted; the checkpoint is then up to date.

        Until every worker can write, the files of an earlier import stay as they are.
        """
        with ExitStack() as stack:
            stack.callback(log_of_store().setLevel, log_of_store().level)
            only_errors_of_store()
            known_bytes = self.checkpoint.rejects_bytes
            stack.callback(self._rejects.close)
            self._rejects.open(known_bytes=known_bytes)
            self._start_workers(stack)
            if self._checkpoint_file:
                self._checkpoint_file.save(self.checkpoint)
            # Not before: the rejects that the earlier checkpoint knows must stay until there is a later one.
            self._rejects.begin(known_bytes=known_bytes)
            try:
                self._import()
            except (DumpError, TooManyRejects):
                self._end(resumable=bool(self.checkpoint.totals.stored))
                raise
            except BaseException:
                self._end(resumable=True)
                raise
            self._end()

    def _start_workers(self, stack: ExitStack) -> None:
        """Return when all can write. Raises ImportFailed when one cannot, Interrupted when a stop is requested."""
        started_ms, shift_ms = self.checkpoint.started_ms, self.checkpoint.shift_ms
        self._pool.start(stack, now_ms=started_ms, shift_ms=shift_ms, dry_run=self._checkpoint_file is None)
        while self._pool.is_starting:
            self._raise_if_stopped()
            self._pool.receive(seconds=WAIT_SECONDS)

    def _import(self) -> None:
        try:
            self._feed()
            self._announce_all()
        except StatementRejected as error:
            raise ImportFailed(rejected_message(error)) from error
        self._precompute()

    def _feed(self) -> None:
        """Keep every worker busy until the files end, one breaks or has too many rejects, or a stop is requested.

        Then wait for what is in flight.
        """
        jobs = ReadAhead(jobs_behind(self.checkpoint, self._dumps), most=self._pool.most_jobs)
        broken: DumpError | None = None
        while not self._accounts.refused and not self.stop_requested:
            try:
                all_busy = self._pool.hand_out(jobs)
            except StopIteration:
                break
            except DumpError as error:
                broken = error
                break
            self._advance(seconds=WAIT_SECONDS if all_busy else HUNGRY_WAIT_SECONDS)
        self._finish_jobs()
        if ending := broken or self._accounts.refused:
            raise ending
        self._raise_if_stopped()

    def _finish_jobs(self) -> None:
        """Wait until every job is done; after a request to stop, FINISH_SECONDS at most."""
        give_up_at: float | None = None
        while self._pool.is_busy:
            if self.stop_requested:
                give_up_at = give_up_at or time.monotonic() + FINISH_SECONDS
                if time.monotonic() > give_up_at:
                    break
            self._advance(seconds=WAIT_SECONDS)

    def _advance(self, *, seconds: float) -> None:
        """Receive from the workers, count what is durable, and save the checkpoint from time to time."""
        for done in self._accounts.add(self._pool.receive(seconds=seconds)):
            self._written_hours.add(done.hours)
        self.progress.position = self._accounts.position
        self._on_progress(self.progress)
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self._save()

    def _announce_all(self) -> None:
        """Announce everything to reports; waits for Cassandra. Raises Interrupted when a stop is requested."""
        while self._checkpoint_file:
            try:
                self._written_hours.announce()
                return
            except StoreUnavailable as error:
                self._wait_for(str(error))
                self._on_progress(self.progress)
            self._raise_if_stopped()
            time.sleep(WAIT_SECONDS)

    def _precompute(self) -> None:
        """Have the workers count the days that were written to. If this is stopped, reports are only slower."""
        self._pool.precompute(self._written_hours.shares(self._workers))
        while self._pool.is_precomputing and not self.stop_requested:
            self._pool.receive(seconds=WAIT_SECONDS)

    def _end(self, *, resumable: bool = False) -> None:
        """Save the files, and delete the checkpoint unless another run could continue."""
        with suppress(StatementRejected):  # which ended the import, and is being raised
            self._save()
        self._accounts.close_file()
        if self._checkpoint_file and not resumable:
            self._checkpoint_file.remove()

    def _save(self) -> None:
        """Save the checkpoint once all before it is announced to reports; what follows it is written again."""
        if not self._checkpoint_file:
            return
        self._saved_at = time.monotonic()
        try:
            self._written_hours.announce()
        except StoreUnavailable:
            return
        self.checkpoint.rejects_bytes = self._rejects.flush()
        self._checkpoint_file.save(self.checkpoint)

    def _wait_for(self, reason: str | None) -> None:
        self.progress.waiting_for = reason

    def _raise_if_stopped(self) -> None:
        if self.stop_requested:
            raise Interrupted
