"""Bring counts up to date before anybody asks: one process at a time, whichever holds the lease in Redis.

A report then finds a second of late writes, not all since the last report. Without Redis every process does it.
"""

import logging
import random
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import cast

from django.core.cache import caches

from caching.redis import ReportCache
from events import domain
from events.batched import batched
from events.clock import retention_cutoff_ms, wall_clock_ms
from events.counting.hours import MOST_SECONDS, bring_up_to_date
from events.counting.stored import DAYS_PER_STATEMENT
from events.counting.validity import AHEAD_MS, MARGIN_MS, NEVER, Position, read_late_writes, recent_slots
from events.domain import DAY_MS
from metrics.catalogue import COUNTING_ROUNDS, DAYS_COUNTED, DAYS_WAITING
from store.cassandra import deadline_from_now
from store.errors import StoreError

log = logging.getLogger(__name__)

SECONDS_BETWEEN_ROUNDS = 1.0
# A round that had much to do is followed by a pause of three times as long, but not for ever: requests come first.
PAUSE_PER_ROUND, MOST_PAUSE_SECONDS = 3, 5.0
# A process that ends, or is paused, is followed by another after so long, or after as long as a group of days may take.
LEASE_SECONDS = 20
LEASE_SECONDS_OF_A_GROUP = int(MOST_SECONDS) + LEASE_SECONDS
LEASE = "counting.lease"
# Days that something came late into have little to count each, and are read by one statement.
DIRTY_DAYS_AT_A_TIME = DAYS_PER_STATEMENT
# Of days that have to be looked through, newest first: so many in a round, and so many at a time.
UNREAD_DAYS_PER_ROUND, UNREAD_DAYS_AT_A_TIME = 32, 8
# An hour is over by our clock and that of a node, which may be behind.
NODE_BEHIND_MS = 10_000


def start() -> None:
    """Begin, in a thread of this process."""
    threading.Thread(target=_run, name="counting", daemon=True).start()


def _run() -> None:
    background = Background()
    background.show()
    while True:
        began = time.monotonic()
        try:
            background.round(wall_clock_ms())
        except StoreError as error:
            COUNTING_ROUNDS.add("failed")
            log.info("Counts could not be brought up to date, and are tried again: %s", error)
        except Exception:
            COUNTING_ROUNDS.add("failed")
            log.exception("Counts could not be brought up to date")
        else:
            COUNTING_ROUNDS.add("done")
        took = time.monotonic() - began
        # Not all processes at the same time, should each have to do it.
        pause = min(PAUSE_PER_ROUND * took, MOST_PAUSE_SECONDS)
        time.sleep(max(SECONDS_BETWEEN_ROUNDS * random.uniform(0.8, 1.2), pause))


class Background:
    """What one process knows of the days that are to be counted again."""

    def __init__(self) -> None:
        self._name = uuid.uuid4().hex
        self._versions: dict[str, int] = {}  # of each writer the latest marker whose days are known
        self._dirty: set[int] = set()  # days that are to be counted again
        self._last_look: dict[int, int] = {}  # days, and when no register of today makes anybody look any more
        self._looked_ms = 0  # when the markers were last read
        self._unread: list[int] = []  # days that are still to be looked through, oldest first
        self._failed: set[int] = set()  # those of both that could not be counted

    def show(self) -> None:
        """Let metrics say how many days are to be done."""
        DAYS_WAITING.is_read_by(lambda: len(self._dirty), "late")
        DAYS_WAITING.is_read_by(lambda: len(self._unread), "unread")
        DAYS_WAITING.is_read_by(lambda: len(self._failed), "failed")

    def round(self, now_ms: int) -> None:
        """Count what was written late since the last round, and some of what nobody knows of. Raises StoreError.

        Does nothing while another process holds the lease. A day stays to be done until it is. Days of a group that
        could not be counted are counted one by one from then on, so that one holds up no others.
        """
        if not self._has_lease():
            return
        if not 0 <= now_ms - self._looked_ms <= MARGIN_MS:
            # Markers may have come and expired unread.
            self._unread = list(range(domain.day_of(retention_cutoff_ms(now_ms)), now_ms + 1, DAY_MS))
        self._look(now_ms)
        failed: StoreError | None = None
        groups = [*self._groups()]
        for days in groups:
            if not self._has_lease(seconds=LEASE_SECONDS_OF_A_GROUP):
                return
            try:
                bring_up_to_date(days, now_ms=wall_clock_ms())
                DAYS_COUNTED.add(number=len(days))
            except StoreError as error:
                failed = error
                self._failed.update(days)
                continue
            self._dirty.difference_update(days)
            self._failed.difference_update(days)
            self._unread = [day for day in self._unread if day not in days]
        if groups:
            self._has_lease()  # for no longer than until the next rounds
        if failed:
            raise failed

    def _groups(self) -> Iterator[Sequence[int]]:
        """Yield the days of a round in groups that are counted together, newest first."""
        dirty = sorted(self._dirty, reverse=True)
        yield from batched([day for day in dirty if day not in self._failed], DIRTY_DAYS_AT_A_TIME)
        unread = self._unread[: -UNREAD_DAYS_PER_ROUND - 1 : -1]
        yield from batched([day for day in unread if day not in self._failed], UNREAD_DAYS_AT_A_TIME)
        yield from ([day] for day in sorted(self._failed, reverse=True))

    def _has_lease(self, *, seconds: int = LEASE_SECONDS) -> bool:
        """Return whether this process holds the lease from now on, or nobody can because Redis is unavailable."""
        return cast(ReportCache, caches["default"]).hold(LEASE, self._name, seconds=seconds) is not False

    def _look(self, now_ms: int) -> None:
        """Note the days of new markers, those that a last look is due to, and the day whose hour has ended."""
        late = read_late_writes(recent_slots(now_ms), [Position(NEVER, self._versions)], deadline=deadline_from_now())
        days = {domain.day_of(cell.hour_ms) for marker in late.markers for cell in marker.cells}
        due = {day for day, at_ms in self._last_look.items() if at_ms < now_ms}
        for day in due:
            del self._last_look[day]
        self._last_look.update(dict.fromkeys(days, now_ms + AHEAD_MS + MARGIN_MS))
        if days:
            days.add(domain.day_of(now_ms))  # its last hour is read by nearly every report
        self._dirty |= days | due
        ended = now_ms - MARGIN_MS - NODE_BEHIND_MS
        if domain.hour_of(ended) > domain.hour_of(self._looked_ms - MARGIN_MS - NODE_BEHIND_MS):
            self._dirty.add(domain.day_of(ended - 1))
        self._versions, self._looked_ms = dict(late.versions), now_ms
