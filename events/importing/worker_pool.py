"""The worker processes of an import: start them, keep each busy, receive their messages."""

import logging
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import cast

from events.importing.files import ImportFailed
from events.importing.jobs import Job
from events.importing.messages import Done, Failed, Logged, Precompute, Precomputed, Ready, Waiting
from events.importing.read_ahead import ReadAhead
from events.importing.worker import work

# One being written, one waiting: a worker never waits for the coordinator, and memory stays small.
JOBS_PER_WORKER = 2


class WorkerPool:
    """Workers behind pipes. ``on_wait`` is called with the reason when one waits for Cassandra, with None afterwards.

    Every method that receives raises ImportFailed when a worker says that it cannot go on, or ends unexpectedly.
    """

    def __init__(self, number: int, *, on_wait: Callable[[str | None], None]) -> None:
        self._number = number
        self._on_wait = on_wait
        self._in_flight: dict[Connection, int] = {}  # jobs of each worker
        self._starting: set[Connection] = set()
        self._precomputing: set[Connection] = set()
        self._done: list[Done] = []

    def start(self, stack: ExitStack, *, now_ms: int, shift_ms: int, dry_run: bool) -> None:
        """Start the processes; leaving the stack ends them."""
        for _ in range(self._number):
            pipe = _started_worker(stack, now_ms=now_ms, shift_ms=shift_ms, dry_run=dry_run)
            self._in_flight[pipe] = 0
            self._starting.add(pipe)

    @property
    def is_starting(self) -> bool:
        """Whether some worker has not said yet that it can write."""
        return bool(self._starting)

    @property
    def is_busy(self) -> bool:
        """Whether some job is not done yet."""
        return any(self._in_flight.values())

    @property
    def is_precomputing(self) -> bool:
        """Whether some worker still counts days."""
        return bool(self._precomputing)

    @property
    def most_jobs(self) -> int:
        """How many jobs all workers have at most."""
        return JOBS_PER_WORKER * self._number

    def hand_out(self, jobs: ReadAhead[Job]) -> bool:
        """Give each worker what it has room for; whether there was enough. Raises StopIteration after the last job."""
        for pipe, in_flight in self._in_flight.items():
            for _ in range(JOBS_PER_WORKER - in_flight):
                job = jobs.take()
                if job is None:
                    return False
                self._send(pipe, job)
                self._in_flight[pipe] += 1
        return True

    def precompute(self, shares: Sequence[list[int]]) -> None:
        """Have each worker count one share of days."""
        for pipe, days in zip(self._in_flight, shares, strict=True):
            if days:
                self._send(pipe, Precompute(days))
                self._precomputing.add(pipe)

    def receive(self, *, seconds: float) -> list[Done]:
        """Wait for messages, up to so long; return the jobs that are done since the last call."""
        for pipe in wait(list(self._in_flight), timeout=seconds):
            self._receive(cast(Connection, pipe))
        done, self._done = self._done, []
        return done

    def _send(self, pipe: Connection, task: Job | Precompute) -> None:
        try:
            pipe.send(task)
        except (BrokenPipeError, ConnectionResetError):
            self._receive(pipe)  # its last message says why it ended

    def _receive(self, pipe: Connection) -> None:
        try:
            message = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise ImportFailed("A worker process ended unexpectedly. Run the same command with --resume.") from None
        match message:
            case Failed(reason):
                raise ImportFailed(reason)
            case Logged(level, logger, text):
                logging.getLogger(logger).log(level, "%s", text)
            case Ready():
                self._starting.discard(pipe)
            case Waiting(reason):
                self._on_wait(reason)
            case Precomputed():
                self._on_wait(None)
                self._precomputing.discard(pipe)
            case Done():
                self._on_wait(None)
                self._in_flight[pipe] -= 1
                self._done.append(message)


def _started_worker(stack: ExitStack, *, now_ms: int, shift_ms: int, dry_run: bool) -> Connection:
    """Return the end of the pipe to a new process."""
    context = multiprocessing.get_context("spawn")  # a forked driver session hangs
    ours, theirs = context.Pipe()
    options = {"now_ms": now_ms, "shift_ms": shift_ms, "dry_run": dry_run}
    process = context.Process(target=work, args=(theirs,), kwargs=options, daemon=True)
    # The worker inherits the blocked signals: only the parent handles Ctrl-C.
    resource_tracker.ensure_running()  # starting it later would unblock them
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
