"""A clock of the past, for tests that say themselves when something is written and when it is asked for."""

import time

from events.domain import DAY_MS

# More than a retention back: services that other tests have started count every day of the retention by the real
# clock, and what a test writes there by a slower clock would be taken for something that they have counted.
LONG_AGO_MS = 800 * DAY_MS


def long_ago_ms() -> int:
    """The present of such a test."""
    return time.time_ns() // 1_000_000 - LONG_AGO_MS
