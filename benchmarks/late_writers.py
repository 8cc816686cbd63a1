"""``python -m benchmarks.late_writers N``: late starts as N processes leave them that lived within the last 30 days.

For benchmarks.late_starts, into CASSANDRA_KEYSPACE: one process plays all of them, one after the other.
"""

import os
import random
import sys
import uuid

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")

import django  # the keyspace is in the environment

django.setup()

from events import late_writes  # noqa: E402
from events.clock import wall_clock_ms  # noqa: E402
from events.domain import DAY_MS, PROMPT_MS, Event  # noqa: E402
from events.importing.generator import COUNTRIES, country_weights  # noqa: E402
from events.services import record_events  # noqa: E402

DAYS = 30
# Public collectors accept what is 28 to 31 days old.
MOST_LATE_MS = 28 * DAY_MS
LATE_STARTS = 100_000
BATCH = 10


def main() -> None:
    """Let N processes live one after the other over the last DAYS, LATE_STARTS between them."""
    writers = int(sys.argv[1])
    chance = random.Random(writers)
    now_ms = wall_clock_ms()
    batches = LATE_STARTS // BATCH
    for number in range(batches):
        if number * writers // batches != (number - 1) * writers // batches:
            become_another_process()
        arrived_ms = now_ms - DAYS * DAY_MS * (batches - number) // batches
        record_events(late_starts(chance, now_ms=arrived_ms), now_ms=arrived_ms)


def become_another_process() -> None:
    """Write under another name from now on, as a process that has just started does."""
    late_writes.writer = late_writes.Writer()


def late_starts(chance: random.Random, *, now_ms: int) -> list[Event]:
    """A batch that arrives now."""
    return [
        Event(
            "start",
            f"writer_{chance.randrange(2_000)}",
            uuid.UUID(int=chance.getrandbits(128), version=4),
            now_ms - chance.randrange(PROMPT_MS, MOST_LATE_MS),
            chance.choices(COUNTRIES, country_weights())[0],
        )
        for _ in range(BATCH)
    ]


if __name__ == "__main__":
    main()
