"""When a number of starts may be kept, and until when it is believed.

Every late write, into an hour that is over or of a start that happened PROMPT_MS ago, leaves its writer's name and a
rising version in the ``touched`` map of the hour and of its day, in the same batch. A count remembers the map as it
stood before counting, and is believed as long as the map is the same: any later touch changes it, whatever the clocks
say. What clocks decide is which writes are late, and when a count may be kept: MARGIN_MS after the last prompt write
and after the last touch, when no write that it could have missed is under way.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from events.batched import batched
from events.domain import CLOCKS_APART_MS, HOUR_MS, MINUTE_MS, PROMPT_MS, UNDER_WAY_MS
from events.services import MICROSECONDS, gone_ms, ttl_seconds
from sessions_project import cassandra
from sessions_project.cassandra import Statement, StoreUnavailable, WriteUnderWay

log = logging.getLogger(__name__)

MARGIN_MS = CLOCKS_APART_MS + UNDER_WAY_MS
MINUTES_PER_HOUR = 60
# A mutation may have 16 MiB; a row has 150 bytes and 50 for each process that wrote late.
ROWS_PER_BATCH = 1_000

# Before every version: they are milliseconds since 1970.
NEVER = 0

# The map of an hour into which nobody wrote late, as JSON.
UNTOUCHED = "{}"


@dataclass(slots=True)
class Keeping:
    """Decides whether the counts of one report may be kept, and keeps them.

    Touches of writers up to a version in ``durable`` need no margin.
    """

    now_ms: int
    deadline: float
    durable: Mapping[str, int] = field(default_factory=dict)
    # What happened then or earlier is older than the retention.
    gone_ms: int = field(init=False)
    _rows: defaultdict[int, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    _under_way: list[WriteUnderWay] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gone_ms = gone_ms(self.now_ms)

    def minutes_over(self, hour_ms: int) -> int:
        """How many minutes of the hour, from its beginning, no prompt write can be under way into."""
        if self.now_ms > hour_ms + HOUR_MS + MARGIN_MS:
            return MINUTES_PER_HOUR
        over_ms = self.now_ms - MARGIN_MS - PROMPT_MS - hour_ms
        return max(over_ms // MINUTE_MS, 0)

    def allows(self, over_at_ms: int, touched: str = UNTOUCHED, *, counted: str | None = None) -> bool:
        """Whether no write that a count begun now would miss can be under way.

        ``touched`` is a map as JSON, the version of each writer's last touch; ``counted`` is that of an earlier count:
        touches that it has seen were durable then.
        """
        seen = json.loads(counted or UNTOUCHED)
        touches = (
            version
            for writer, version in json.loads(touched).items()
            if version > max(self.durable.get(writer, NEVER), seen.get(writer, NEVER))
        )
        return self.now_ms > max((over_at_ms, *touches)) + MARGIN_MS

    def keep(self, cql: str, values: tuple[Any, ...], *, key: tuple[Any, ...], until_ms: int) -> None:
        """Note a row of ``country_hour`` for the next reader: it goes one retention after ``until_ms``.

        ``key`` is the row's, and begins with its day.
        """
        ttl = ttl_seconds(until_ms, now_ms=self.now_ms)
        if ttl > 0:
            self._rows[key[0]].append((cql, (self.now_ms * MICROSECONDS, ttl, *values, *key)))

    def send(self) -> None:
        """Send what was noted, without waiting. A batch is of one partition: such a one may be of any size."""
        for rows in self._rows.values():
            for some in batched(rows, ROWS_PER_BATCH):
                seconds = self.deadline - time.monotonic()
                with _logged_when_away():
                    self._under_way.append(cassandra.send_batch(some, seconds=seconds))
        self._rows.clear()

    def finish(self) -> None:
        """Return when what was sent is durable or has failed, at the deadline at the latest."""
        for write in self._under_way:
            with _logged_when_away():
                write.wait()


@contextmanager
def _logged_when_away() -> Iterator[None]:
    """A count that could not be kept is taken again."""
    try:
        yield
    except StoreUnavailable as error:
        log.info("Counts were not kept: %s", error)


def as_map(told: str) -> str:
    """A ``touched`` map as JSON, as it is compared and kept. Cassandra's toJson says null of an empty one."""
    return UNTOUCHED if told == "null" else told
