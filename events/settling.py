"""While an import goes on, its workers count the hours that it has left behind, so that no report has to.

A number of starts is kept only when no write can be under way that it would miss, for which others wait 90 s after the
last touch of an hour: an import that writes a month of hours in that time would leave a month to count to every report.
But the import knows more. When each worker has said that all it wrote is durable, touches up to then need no margin.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection

from events.domain import DAY_MS, HOUR_MS, Window, day_of
from events.import_worker import Release, Released, Settle

# In each round the workers wait until what they have sent is durable.
SECONDS_BETWEEN_ROUNDS = 1.0
# An hour is left behind when so many jobs of each worker had no start in it: dumps are in order but for some disorder.
QUIET_JOBS_PER_WORKER = 4


class Settling:
    """The rounds of one import: a Release to every worker, then a Settle to some."""

    def __init__(self, workers: Sequence[Connection]) -> None:
        self._workers = workers
        self._days: set[int] = set()
        self._last_job: dict[int, int] = {}  # with a start in an hour, of the hours that are not settled
        self._waiting: set[Connection] = set()
        self._windows: list[Window] = []
        self._counting: Sequence[Connection] = ()  # the workers that count in this round
        self._versions: dict[str, int] = {}
        self._next_round = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether a worker owes an answer."""
        return bool(self._waiting)

    def wrote(self, hours: Iterable[int], *, job: int) -> None:
        """Sessions of a job that is durable started in these hours."""
        self._last_job.update(dict.fromkeys(hours, job))
        self._days.update(map(day_of, hours))

    def advance(self, *, durable_jobs: int) -> None:
        """Begin a round when it is time and hours have been left behind."""
        if self.is_under_way or time.monotonic() < self._next_round:
            return
        quiet = durable_jobs - QUIET_JOBS_PER_WORKER * len(self._workers)
        left_behind = {hour for hour, job in self._last_job.items() if job < quiet}
        if left_behind:
            for hour in left_behind:
                del self._last_job[hour]
            self._begin(self._windows_of(left_behind), counting=self._workers[:1])

    def finish(self) -> None:
        """Begin the last round, over all days; only when no other is under way."""
        self._begin([_whole(day) for day in sorted(self._days)], counting=self._workers)

    def released(self, worker: Connection, answer: Released) -> None:
        """Have the windows counted when this was the last worker to answer."""
        self._versions[answer.writer] = answer.version
        self._waiting.discard(worker)
        if not self._waiting:
            self._waiting.update(self._counting)
            for number, one in enumerate(self._counting):
                _send(one, Settle(self._windows[number :: len(self._counting)], self._versions))

    def settled(self, worker: Connection) -> None:
        """A worker has counted."""
        self._waiting.discard(worker)
        self._next_round = time.monotonic() + SECONDS_BETWEEN_ROUNDS

    def _begin(self, windows: list[Window], *, counting: Sequence[Connection]) -> None:
        if windows:
            self._windows, self._counting = windows, counting
            self._waiting.update(self._workers)
            for worker in self._workers:
                _send(worker, Release())

    def _windows_of(self, hours: Iterable[int]) -> list[Window]:
        """The whole day where nothing else of it is to be settled, else from the first to the last of the hours."""
        unsettled = set(map(day_of, self._last_job))
        by_day: dict[int, list[int]] = defaultdict(list)
        for hour in hours:
            by_day[day_of(hour)].append(hour)
        return [
            Window(min(some) - 1, max(some) + HOUR_MS - 1) if day in unsettled else _whole(day)
            for day, some in by_day.items()
        ]


def _send(worker: Connection, task: Release | Settle) -> None:
    # That a worker is dead is found where its answers are read.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        worker.send(task)


def _whole(day: int) -> Window:
    return Window(day - 1, day + DAY_MS - 1)
