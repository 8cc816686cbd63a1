"""One worker process of an import: judges blocks of lines, writes their events, and says when they are durable."""

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import django

from events.domain import START, hour_of
from events.importing.read_ahead import ReadAhead

if TYPE_CHECKING:
    from events.importing.line_validator import Reject, ValidatedLines


# A service on the same machine goes first; where there is none it makes no difference.
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can write."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What the worker has to say in the log, which the parent writes: several writers would tear its progress bar."""

    level: int
    logger: str
    text: str


@dataclass(frozen=True, slots=True)
class Job:
    """Lines of the dump with this identity, to validate and write; ``number`` orders the jobs of one import."""

    number: int
    dump: str
    first_line: int
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class Done:
    """Everything of the job that is to be kept is durable."""

    number: int
    read: int
    stored: int
    discarded: int
    rejects: "list[Reject]"
    hours: frozenset[tuple[str, int]]  # in which sessions started, each with its country


@dataclass(frozen=True, slots=True)
class Precompute:
    """Have the counts of these days stored, so that no report has to take them."""

    days: list[int]


@dataclass(frozen=True, slots=True)
class Precomputed:
    """The days are counted, or left to the reports when Cassandra went away."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Cassandra is away; the worker goes on by itself when it is back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot begin, or not go on."""

    reason: str


class ParentGone(Exception):
    """Nobody waits for what this worker does."""


Task = Job | Precompute
Message = Ready | Logged | Done | Precomputed | Waiting | Failed
Say = Callable[[Message], None]


def work(parent: Connection, *, now_ms: int, shift_ms: int, dry_run: bool) -> None:
    """Say Ready or Failed. Answer each Job from the parent with a Done, in order, Precompute with Precomputed, until
    the connection is closed."""
    os.nice(NICENESS)
    django.setup()
    say = _Speaker(parent).say
    _log_to(say)
    with contextlib.suppress(ParentGone):
        if not dry_run and (trouble := _trouble()):
            say(Failed(trouble))
            return
        say(Ready())
        _answer(parent, say, now_ms=now_ms, shift_ms=shift_ms, dry_run=dry_run)


def _answer(parent: Connection, say: Say, *, now_ms: int, shift_ms: int, dry_run: bool) -> None:
    from events.importing.line_validator import LineValidator
    from events.importing.loader import Loader
    from store.errors import StatementRejected

    validator = LineValidator(now_ms=now_ms, shift_ms=shift_ms)
    loader = Loader(on_wait=lambda reason: say(Waiting(reason)))
    written: deque[tuple[int, Done]] = deque()
    # In a thread: a parent that sends more than the pipe holds never waits for a worker that does the same, or that
    # waits for Cassandra.
    tasks = ReadAhead(_received(parent))
    try:
        while True:
            task = tasks.take()
            if task is None:
                loader.finish()  # nothing to overlap with: let the parent know how far we are
                _report(say, written, loader.completed)
                task = tasks.wait()
            if isinstance(task, Precompute):
                _precompute(task.days)
                say(Precomputed())
                continue
            validated = validator.validate(task.lines, first_line=task.first_line, dump=task.dump)
            if not dry_run:
                loader.write(validated.events)
            written.append((loader.submitted, _done(task, validated)))
            _report(say, written, loader.completed)
    except (StopIteration, ConnectionResetError):
        return
    except StatementRejected as error:
        say(Failed(f"Cassandra refuses to write: {error} When it is mended, run the command with --resume."))


class _Speaker:
    """Sends to the parent, from any thread, whole messages. A parent that has gone needs none, nor the worker."""

    def __init__(self, parent: Connection) -> None:
        self._parent = parent
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        """Send it. Raises ParentGone when nobody listens."""
        try:
            with self._lock:
                self._parent.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise ParentGone from None


class _ParentsLog(logging.Handler):
    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(ParentGone):
            self._say(Logged(record.levelno, record.name, record.getMessage()))


def _log_to(say: Say) -> None:
    """Have the parent write the log."""
    logging.root.handlers = [_ParentsLog(say)]
    log_errors_of_the_store_only()


def log_errors_of_the_store_only() -> None:
    """What our code says of the store below an error the import says itself, once and not for each attempt."""
    if logging.root.level > logging.DEBUG:
        log_of_the_store().setLevel(logging.ERROR)


def log_of_the_store() -> logging.Logger:
    """The log of our own code that asks Cassandra."""
    return logging.getLogger("store")


def _done(job: Job, validated: "ValidatedLines") -> Done:
    """What the parent is to know of the job once its events are durable."""
    return Done(
        job.number,
        read=validated.read,
        stored=len(validated.events),
        discarded=validated.discarded,
        rejects=validated.rejects,
        hours=frozenset(
            (event.country or "", hour_of(event.ts_ms)) for event in validated.events if event.kind == START
        ),
    )


def _received(parent: Connection) -> Iterator[Task]:
    """Every task, until the connection is closed."""
    with contextlib.suppress(EOFError):
        while True:
            yield parent.recv()


def _report(say: Say, written: deque[tuple[int, Done]], completed: int) -> None:
    while written and written[0][0] <= completed:
        say(written.popleft()[1])


def _precompute(days: list[int]) -> None:
    from events.clock import wall_clock_ms
    from events.counting.hours import bring_up_to_date
    from store.errors import StoreError

    with contextlib.suppress(StoreError):
        for day in days:
            bring_up_to_date([day], now_ms=wall_clock_ms())


def _trouble() -> str | None:
    """What keeps this worker from writing."""
    from django.conf import settings

    from events.importing.loader import readable_cause
    from events.models import TABLES
    from store import cassandra
    from store.errors import StoreError

    try:
        missing = cassandra.missing_tables(table.__table_name__ for table in TABLES)
    except StoreError as error:
        where = f"{', '.join(settings.CASSANDRA_HOSTS)}, port {settings.CASSANDRA_PORT}"
        return (
            f"Cassandra does not answer at {where}: {readable_cause(error)}. "
            "Is it up, and do CASSANDRA_HOSTS and CASSANDRA_PORT name it?"
        )
    return f"The tables {', '.join(missing)} are missing. Run 'manage.py sync_cassandra' first." if missing else None
