"""Reports that read much have few slots of their own, so that a few of them do not slow everything else down.

Which ones do follows from the question, before it is worked on: a window that is longer than a month, a file with every
start of a country, and all sessions of a player who has more than a few.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from events.domain import DAY_MS, Window
from web.problems import TooManyExpensiveReports
from web.worker_slots import WorkerSlots

# Each keeps a core busy for up to a second, half of it in Cassandra.
AT_A_TIME = 2
# While they wait they hold worker slots of readers: with those that work, half of what a process has for them.
MOST_WAITING = 4
# As long as 9 of 10 replies may take.
WAIT_SECONDS = 0.5
# The page shows a month at most.
LONG_WINDOW_MS = 31 * DAY_MS

Asked = ParamSpec("Asked")
Report = TypeVar("Report")

_slots = WorkerSlots(AT_A_TIME, waiting=MOST_WAITING, seconds=WAIT_SECONDS)


@contextmanager
def expensive() -> Iterator[None]:
    """Hold one of the slots meanwhile. Raises TooManyExpensiveReports when there is none for WAIT_SECONDS."""
    if not _slots.acquire():
        raise TooManyExpensiveReports
    try:
        yield
    finally:
        _slots.release()


def expensive_when_long(select: Callable[Asked, Report]) -> Callable[Asked, Report]:
    """Return a function with an argument ``window=``: it holds such a slot meanwhile when that is long."""

    @wraps(select)
    def limited(*arguments: Asked.args, **asked: Asked.kwargs) -> Report:
        window = cast(Window, asked["window"])
        with expensive() if window.to_ms - window.from_ms > LONG_WINDOW_MS else nullcontext():
            return select(*arguments, **asked)

    return limited
