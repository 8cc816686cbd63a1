"""When a number of starts may be kept, and until when it is believed.

Every late write, into an hour that is over or of a start that happened PROMPT_MS ago, leaves its writer's name and a
rising version in the ``touched`` map of the hour and of its day, in the same batch. A count remembers the map as it
stood before counting, and is believed as long as the map is the same: any later write changes it, whatever the clocks
say. What clocks decide is only when a count may be kept: MARGIN_MS after the last prompt write and after the last
touch, when no write that it could have missed is under way.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from events import domain
from events.domain import HOUR_MS, MINUTE_MS
from sessions_project import cassandra
from sessions_project.cassandra import Statement, StoreUnavailable

log = logging.getLogger(__name__)

# 60 s between the fastest and the slowest clock, and 30 s for writes that are under way.
MARGIN_MS = 90 * domain.SECOND_MS
# What game servers need to send an event, with a retry or two. Shorter: more touches; longer: more to count each time.
PROMPT_MS = 2 * domain.MINUTE_MS
MINUTES_PER_HOUR = 60
ROWS_PER_BATCH = 100

# Before every version: they are milliseconds since 1970.
NEVER = 0

# The version of each writer's last touch.
Touched = Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Keeping:
    """Decides whether a count may be stored. Touches of writers up to a version in ``durable`` need no margin."""

    now_ms: int
    oldest_ms: int
    durable: Mapping[str, int]

    def minutes_over(self, hour_ms: int) -> int:
        """How many minutes of the hour, from its beginning, no prompt write can be under way into."""
        if self.now_ms > hour_ms + HOUR_MS + MARGIN_MS:
            return MINUTES_PER_HOUR
        over_ms = self.now_ms - MARGIN_MS - PROMPT_MS - hour_ms
        return min(max(over_ms // MINUTE_MS, 0), MINUTES_PER_HOUR)

    def allows(self, over_at_ms: int, touched: Touched, *, counted: str | None = None) -> bool:
        """Whether no write that a count begun now would miss can be under way.

        ``counted`` is the fingerprint of an earlier count: touches that it has seen were durable then.
        """
        seen = json.loads(counted) if counted and counted.startswith("{") else {}  # once it was a hash
        touches = (
            version
            for writer, version in (touched or {}).items()
            if version > max(self.durable.get(writer, NEVER), seen.get(writer, NEVER))
        )
        return self.now_ms > max(over_at_ms, max(touches, default=NEVER)) + MARGIN_MS


def is_late(ts_ms: int, *, now_ms: int) -> bool:
    """Whether a start that happened at ``ts_ms`` and is written now must leave a touch."""
    return ts_ms + PROMPT_MS <= now_ms or domain.hour_of(ts_ms) + HOUR_MS <= now_ms


def fingerprint(touched: Touched) -> str:
    """The map as text, the same for equal maps only. It has one cell for each process that wrote late into the hour."""
    return json.dumps(dict(touched or {}), sort_keys=True)


def store(rows: Iterable[Statement]) -> None:
    """Keep counts for the next reader; one that could not be stored is taken again."""
    statements = list(rows)
    try:
        writes = [
            cassandra.send_batch(statements[first : first + ROWS_PER_BATCH], logged=False)
            for first in range(0, len(statements), ROWS_PER_BATCH)
        ]
        for write in writes:
            write.wait()
    except StoreUnavailable as error:
        log.info("Counts were not stored: %s", error)
