"""What a report of the present hour costs as the hour fills: with its minutes kept, and counted whole each time.

Fills a keyspace with starts of one country in the first 50 minutes of an hour, asks for it again and again as the
selectors do, then once more after late starts, one after the other and many at a time, and adds the medians to
RESULTS.md. Wants the stack of ``make up``.
"""

import os
import random
import time
import uuid
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from statistics import median

os.environ["CASSANDRA_KEYSPACE"] = KEYSPACE = "bench_present_hour"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")

import django  # the keyspace must be there first

django.setup()

from benchmarks.results import here_and_now, median_ms, table, write_section  # noqa: E402
from benchmarks.store import opened_store  # noqa: E402
from events.counts import count_starts  # noqa: E402
from events.domain import HOUR_MS, MINUTE_MS, Event, Window, hour_of  # noqa: E402
from events.services import country_rows, mark_rows, marks_of, record_events  # noqa: E402
from sessions_project import cassandra  # noqa: E402

COUNTRY = "US"
MINUTES = 50
STARTS_PER_BATCH = 50
BATCHES_IN_FLIGHT = 30
AT_A_TIME = 8
TITLES = ("starts in the hour", "minutes kept, ms", "counted whole, ms", "ratio", f"{AT_A_TIME} at a time, ms each")


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="20000,200000", help="starts in the hour (default: 20000,200000)")
    parser.add_argument("--requests", type=int, default=20, help="reports for each figure (default: 20)")
    arguments = parser.parse_args()
    lines = []
    for size in map(int, arguments.sizes.split(",")):
        with opened_store() as store:
            store.create(KEYSPACE)
            lines.append(measured(size, requests=arguments.requests))
            cassandra.disconnect()
            store.drop(KEYSPACE)
    print(table(TITLES, lines))
    write_section("present hour", f"`python -m benchmarks.present_hour` {here_and_now()}", table(TITLES, lines))


def measured(size: int, *, requests: int) -> list[str]:
    """A line of the table, of medians."""
    now_ms = hour_of(time.time_ns() // 1_000_000) + MINUTES * MINUTE_MS
    fill(size, now_ms=now_ms)

    def report(number: int) -> None:
        window = Window(now_ms - 2 * HOUR_MS + number, now_ms - number)
        count_starts(window=window, now_ms=now_ms, deadline=time.monotonic() + 30, country=COUNTRY)

    report(0)  # the first counts the minutes
    kept = median_ms(report, requests)
    late = Event("start", "late", uuid.uuid4(), now_ms - 10 * MINUTE_MS, COUNTRY)
    record_events([late], now_ms=now_ms)
    whole = median_ms(report, requests)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        together = median(pool.map(lambda number: median_ms(lambda _: report(number), requests), range(AT_A_TIME)))
    return [f"{size:,}", f"{kept:.1f}", f"{whole:.1f}", f"{kept / whole:.2f}", f"{together:.1f}"]


def fill(size: int, *, now_ms: int) -> None:
    """Starts that came in time, at random moments."""
    chance = random.Random(size)
    under_way = []
    for first in range(0, size, STARTS_PER_BATCH):
        moments = [chance.randrange(hour_of(now_ms), now_ms) for _ in range(STARTS_PER_BATCH)]
        starts = [Event("start", f"player_{ts % 10_000}", uuid.uuid4(), ts, COUNTRY) for ts in moments]
        rows = country_rows(starts, now_ms=now_ms)
        if first == 0:
            rows += mark_rows(marks_of(starts), now_ms=now_ms)
        under_way.append(cassandra.send_batch(rows, seconds=30))
        if len(under_way) > BATCHES_IN_FLIGHT:
            under_way.pop(0).wait()
    for write in under_way:
        write.wait()


if __name__ == "__main__":
    main()
