"""The current time, and which moments are stored at that time.

The retention and the tolerance of the settings, for both entry points and the reports.
"""

import time

from django.conf import settings

from events import domain


def wall_clock_ms() -> int:
    """Return now, also after the process or its machine has been paused."""
    return time.time_ns() // 1_000_000


def latest_moment_ms(now_ms: int) -> int:
    """Return the latest ``ts`` that an event received at ``now_ms`` may have."""
    return now_ms + settings.FUTURE_TOLERANCE_SECONDS * domain.SECOND_MS


def retention_cutoff_ms(now_ms: int) -> int:
    """Return the moment up to and including which everything is older than the retention, and not shown."""
    return now_ms - settings.RETENTION_SECONDS * domain.SECOND_MS


def oldest_kept_ms(now_ms: int) -> int:
    """Return the earliest moment of an event that is still stored: it has a second to live."""
    return retention_cutoff_ms(now_ms) + domain.SECOND_MS


def ttl_seconds(until_ms: int, *, now_ms: int) -> int:
    """Return the whole seconds until a moment is older than the retention."""
    return domain.remaining_seconds(until_ms, retention_cutoff_ms=retention_cutoff_ms(now_ms))
