"""One worker process of an import: validates lines, writes their events, and says when they are durable."""

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection

import django

from events.domain import START, hour_of
from events.importing.jobs import Job
from events.importing.lines import ValidatedLines
from events.importing.messages import (
    Done,
    Failed,
    Logged,
    Message,
    Precompute,
    Precomputed,
    Ready,
    Say,
    Task,
    Waiting,
)
from events.importing.read_ahead import ReadAhead

# A service on the same machine goes first.
NICENESS = 10


class ParentGone(Exception):
    """The coordinator has ended."""


def work(parent: Connection, *, now_ms: int, shift_ms: int, dry_run: bool) -> None:
    """Say Ready or Failed, and do what the parent asks for until the connection is closed.

    Each Job is answered with Done, in order, Precompute with Precomputed.
    """
    os.nice(NICENESS)
    django.setup()
    say = _Speaker(parent).say
    _log_to(say)
    with contextlib.suppress(ParentGone):
        if not dry_run and (obstacle := _obstacle()):
            say(Failed(obstacle))
            return
        say(Ready())
        _answer(parent, say, now_ms=now_ms, shift_ms=shift_ms, dry_run=dry_run)


def _answer(parent: Connection, say: Say, *, now_ms: int, shift_ms: int, dry_run: bool) -> None:
    from events.importing.line_validator import LineValidator
    from events.importing.loader import Loader
    from store.errors import StatementRejected

    validator = LineValidator(now_ms=now_ms, shift_ms=shift_ms)
    loader = Loader(on_wait=lambda reason: say(Waiting(reason)), shift_ms=shift_ms, received_ms=now_ms)
    written: deque[tuple[int, Done]] = deque()
    # In a thread: a parent that sends more than the pipe holds must not wait for a worker that also sends, or that
    # waits for Cassandra.
    tasks = ReadAhead(_received(parent))
    try:
        while True:
            task = tasks.take()
            if task is None:
                loader.finish()  # there is nothing else to do: report what is durable
                _report(say, written, loader.completed)
                task = tasks.wait()
            if isinstance(task, Precompute):
                _precompute(task.days)
                say(Precomputed())
                continue
            validated = validator.validate(task.lines, first_line=task.first_line, dump=task.dump)
            if not dry_run:
                validated.discard_others(loader.without_erased(validated.events))
                loader.write(validated.events)
            written.append((loader.submitted, _done(task, validated)))
            _report(say, written, loader.completed)
    except (StopIteration, ConnectionResetError):
        return
    except StatementRejected as error:
        say(Failed(rejected_message(error)))


def rejected_message(error: Exception) -> str:
    """Return what to say when Cassandra will never execute a statement of the import."""
    return f"Cassandra refuses to write: {error} When that is fixed, run the command with --resume."


class _Speaker:
    """Sends whole messages to the parent, from any thread. When the parent has ended, the worker ends as well."""

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


class _LogHandler(logging.Handler):
    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(ParentGone):
            self._say(Logged(record.levelno, record.name, record.getMessage()))


def _log_to(say: Say) -> None:
    """Have the parent write the log."""
    logging.root.handlers = [_LogHandler(say)]
    only_errors_of_store()


def only_errors_of_store() -> None:
    """Leave out warnings of the store: the import says the same once, and not for each attempt."""
    if logging.root.level > logging.DEBUG:
        log_of_store().setLevel(logging.ERROR)


def log_of_store() -> logging.Logger:
    """Return the parent of the loggers of ``store``."""
    return logging.getLogger("store")


def _done(job: Job, validated: ValidatedLines) -> Done:
    """Return the message that the job is done, to be sent once its events are durable."""
    return Done(
        job.number,
        job.end,
        read=validated.read,
        stored=len(validated.events),
        discarded=validated.discarded,
        rejects=validated.rejects,
        hours=frozenset(
            (event.country or "", hour_of(event.ts_ms)) for event in validated.events if event.kind == START
        ),
    )


def _received(parent: Connection) -> Iterator[Task]:
    """Yield every task, until the connection is closed."""
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


def _obstacle() -> str | None:
    """Return why this worker cannot write; None: it can."""
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
