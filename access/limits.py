"""How many events each key may send in a second, over all processes of the service.

A key has a token bucket: it holds what the key may send in BURST_SECONDS, and fills at the key's rate. A request is let
in while there is something in it, and charged by its events once they are known; so a bucket may owe some. What the
service answers with 5xx is not charged. Processes exchange twice a second, by sums in Redis, what was sent through
them. Without Redis each allows all of it.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from django.core.cache import caches

from access.keys import Key
from access.repeating import repeat
from caching.redis import ReportCache

log = logging.getLogger(__name__)

# In the environment of a request: how many events it has brought. Whoever reads the body sets it.
EVENTS_BROUGHT = "player_sessions.events"
# What may be sent at once after a pause. Senders come in turns, and a batch has up to ten events.
BURST_SECONDS, LEAST_BURST = 2, 10
SECONDS_BETWEEN_EXCHANGES = 0.5
# A key that nobody has used for so long has a full bucket everywhere.
FORGOTTEN_AFTER_SECONDS = 60
SECONDS_BETWEEN_LOG_LINES = 10.0

# Adds numbers to sums by name, and returns the sums, in order; None: it cannot.
Exchange = Callable[[Mapping[str, int]], Sequence[int] | None]

SUM_LIFETIME_SECONDS = 2 * FORGOTTEN_AFTER_SECONDS


def exchange_through_redis(numbers: Mapping[str, int]) -> Sequence[int] | None:
    """Return the sums of all processes. Sums are named by keys' ids."""
    cache = cast(ReportCache, caches["default"])
    return cache.add_to_sums(
        {f"events.{key_id}": number for key_id, number in numbers.items()}, seconds=SUM_LIFETIME_SECONDS
    )


class Bucket:
    """What a key may still send. Events that other processes have let in are taken out of it, too."""

    def __init__(self, rate: int, *, now: float) -> None:
        self.rate = rate
        self.size = max(BURST_SECONDS * rate, LEAST_BURST)
        self.level = float(self.size)
        self.used_at = self.filled_at = now
        self.unreported = 0  # events that other processes do not know of
        self.sum: int | None = None  # of all processes, when this one last received it
        self.logged_at = -math.inf

    def seconds_until_free(self, *, now: float) -> float:
        """Return after how long a request is let in again; 0: now."""
        self.level = min(self.size, self.level + (now - self.filled_at) * self.rate)
        self.used_at = self.filled_at = now
        return 0 if self.level > 0 else -self.level / self.rate

    def charge(self, events: int) -> None:
        """Take out what a request has brought."""
        self.level -= events
        self.unreported += events

    def receive(self, total: int, *, reported: int) -> None:
        """Take out what others have let in: the ``total`` of all without what this process has ``reported``."""
        if self.sum is not None:
            self.level -= max(0, total - self.sum - reported)
        self.sum = total
        self.unreported -= reported


class Limits:
    """The buckets of the keys that are used. ``default_rate`` is of keys without one of their own; 0: unlimited.

    ``dry_run``: log whose request would be refused, and let it in. Safe between threads.
    """

    def __init__(self, *, default_rate: int, dry_run: bool, exchange: Exchange) -> None:
        self._default_rate = default_rate
        self._dry_run = dry_run
        self._exchange = exchange
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def admit(self, key: Key) -> tuple[Bucket | None, float]:
        """Return the bucket to charge, None if the key has no limit, and for how many seconds it is to wait."""
        rate = self._default_rate if key.events_per_second is None else key.events_per_second
        if not rate:
            return None, 0
        now = time.monotonic()
        with self._lock:
            bucket = self._buckets.get(key.key_id)
            if bucket is None or bucket.rate != rate:
                bucket = self._buckets[key.key_id] = Bucket(rate, now=now)
            wait = bucket.seconds_until_free(now=now)
            if not wait:
                return bucket, 0
            self._log(key, bucket, now=now)
        # Not charged in a dry run either: what a limit refuses makes no debt.
        return (None, 0) if self._dry_run else (bucket, wait)

    def charge(self, bucket: Bucket, events: int) -> None:
        """Charge a request that was let in."""
        with self._lock:
            bucket.charge(events)

    def exchange(self) -> None:
        """Report to other processes what was sent through this one, and take theirs into account."""
        now = time.monotonic()
        with self._lock:
            for key_id, bucket in [*self._buckets.items()]:
                if now - bucket.used_at > FORGOTTEN_AFTER_SECONDS:
                    del self._buckets[key_id]
            buckets = {**self._buckets}
            reported = {key_id: bucket.unreported for key_id, bucket in buckets.items()}
        sums = self._exchange(reported) if reported else None
        with self._lock:
            # Not those of now: a bucket that has replaced another one meanwhile has reported nothing.
            for (key_id, events), total in zip(reported.items(), sums or (), strict=False):
                buckets[key_id].receive(total, reported=events)

    def keep_exchanging(self) -> None:
        """Exchange again and again, in a thread of this process."""
        repeat(self.exchange, every_seconds=SECONDS_BETWEEN_EXCHANGES, name="limits")

    def _log(self, key: Key, bucket: Bucket, *, now: float) -> None:
        if now < bucket.logged_at + SECONDS_BETWEEN_LOG_LINES:
            return
        bucket.logged_at = now
        of_key = key.key_id, key.name
        what = "would be refused" if self._dry_run else "are refused"
        log.warning("Key %s (%s) sends more than %d events a second: its batches %s", *of_key, bucket.rate, what)
