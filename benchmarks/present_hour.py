"""What a report of the present hour costs as the hour fills: its minutes kept, after a late start, and among many.

Fills a keyspace with starts of one country in the first 50 minutes of an hour and asks for it again and again as the
views do, then once more after a late start, one after the other and many at once. At last the service is started on
the fullest, with a clock that shows the 50th minute, and is asked over HTTP while starts come some minutes late. Adds
both tables to RESULTS.md. Wants the stack of ``make up``.
"""

import os
import random
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

os.environ["CASSANDRA_KEYSPACE"] = KEYSPACE = "bench_present_hour"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")

import django  # the keyspace must be there first

django.setup()

from benchmarks.markdown import table  # noqa: E402
from benchmarks.programs import OURS_UNCACHED, PROJECT, started  # noqa: E402
from benchmarks.results import here_and_now, median_ms, write_section  # noqa: E402
from benchmarks.store import opened_store  # noqa: E402
from benchmarks.traffic import FIGURES, REPORTS, UNIFORM, Lateness, Onlooker, Traffic, collect, wall_clock_ms  # noqa: E402
from events.batched import batched  # noqa: E402
from events.counting.hours import count_starts  # noqa: E402
from events.domain import HOUR_MS, MINUTE_MS, SECOND_MS, Event, Window, hour_of  # noqa: E402
from events.services import record_events  # noqa: E402
from store import cassandra  # noqa: E402

COUNTRY = "US"
MINUTES = 50
STARTS_PER_BATCH = 40
BATCHES_IN_FLIGHT = 12
AT_A_TIME = 8
TITLES = (
    "starts in the hour",
    "minutes kept, ms",
    "after a late start, ms",
    "ratio",
    f"{AT_A_TIME} at a time, ms each",
)

LATE_STARTS = 20
MOST_LATE_MS = 15 * MINUTE_MS
MOST_P90_MS = 50
WARM_UP_SECONDS = 3
LATE_TITLES = ("late starts/s", "report of 1 hour", *FIGURES, "goal", "reached")
# Python runs what lies there at its start: the clock of the service is then wrong by CLOCK_SKEW_SECONDS.
CLOCK = PROJECT / "tests" / "faults" / "clock"


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="20000,200000", help="starts in the hour (default: 20000,200000)")
    parser.add_argument("--requests", type=int, default=20, help="reports for each figure (default: 20)")
    parser.add_argument("--seconds", type=float, default=20, help="of each turn with and without late starts (20)")
    arguments = parser.parse_args()
    lines = []
    sizes = list(map(int, arguments.sizes.split(",")))
    for size in [sizes[0], *sizes]:  # the first warms the node up
        with filled(size) as now_ms:
            lines.append(measured(size, now_ms=now_ms, requests=arguments.requests))
    del lines[0]
    with filled(max(sizes)) as now_ms:
        late_lines = list(measured_while_late(now_ms=now_ms, seconds=arguments.seconds))
    tables = (table(TITLES, lines), table(LATE_TITLES, late_lines))
    print(*tables, sep="\n\n")
    write_section("present hour", f"`python -m benchmarks.present_hour` {here_and_now()}", *tables)


@contextmanager
def filled(size: int) -> Iterator[int]:
    """So many starts in the hour before this one, in a keyspace that goes with them; the moment that is now.

    It is in the past because the clock that is behind decides which minutes are over, and the node's is right.
    """
    now_ms = hour_of(wall_clock_ms()) - HOUR_MS + MINUTES * MINUTE_MS
    with opened_store() as store:
        store.create(KEYSPACE)
        fill(size, now_ms=now_ms)
        yield now_ms
        cassandra.disconnect()
        store.drop(KEYSPACE)


def measured(size: int, *, now_ms: int, requests: int) -> list[str]:
    """A line of the table, of medians."""

    def report(number: int) -> None:
        window = Window(now_ms - 2 * HOUR_MS + number, now_ms - number)
        deadline = cassandra.deadline_from_now()
        count_starts(window=window, now_ms=now_ms, country=COUNTRY, deadline=deadline, all_late=True)

    report(0)  # the first counts the minutes
    kept = median_ms(report, requests)
    record_events([start_at(now_ms - 10 * MINUTE_MS)], now_ms=now_ms)
    late = median_ms(report, requests)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        together = median(pool.map(lambda number: median_ms(lambda _: report(number), requests), range(AT_A_TIME)))
    return [f"{size:,}", f"{kept:.1f}", f"{late:.1f}", f"{kept / late:.2f}", f"{together:.1f}"]


def fill(size: int, *, now_ms: int) -> None:
    """Starts that came in time, at random moments."""
    chance = random.Random(size)
    moments = sorted(chance.randrange(hour_of(now_ms), now_ms) for _ in range(size))

    def record(some: Sequence[int]) -> None:
        record_events([start_at(ts) for ts in some], now_ms=some[-1])

    with ThreadPoolExecutor(BATCHES_IN_FLIGHT) as pool:
        for _ in pool.map(record, batched(moments, STARTS_PER_BATCH)):
            pass


def start_at(ts_ms: int) -> Event:
    return Event("start", f"player_{ts_ms % 10_000}", uuid.uuid4(), ts_ms, COUNTRY)


def measured_while_late(*, now_ms: int, seconds: float) -> Iterator[list[str]]:
    """The lines of the second table: reports over HTTP, without and with late starts."""
    skew_ms = now_ms - wall_clock_ms()
    clock = {"PYTHONPATH": str(CLOCK), "CLOCK_SKEW_SECONDS": str(skew_ms / SECOND_MS)}
    program = replace(OURS_UNCACHED, environment={**OURS_UNCACHED.environment, **clock})
    with (
        started(program, keyspace=KEYSPACE) as running,
        Traffic(running.url, span_ms=MOST_LATE_MS, now_ms=lambda: wall_clock_ms() + skew_ms) as traffic,
    ):
        onlooker = Onlooker(running.url, windows=[1], country=COUNTRY)
        for late_starts in (0, LATE_STARTS):
            traffic.lateness = Lateness(late_starts, UNIFORM)
            onlooker.ask(seconds=WARM_UP_SECONDS)
            traffic.taken()
            taken = onlooker.ask(seconds=seconds)
            collect(taken, traffic.taken())
            for report in REPORTS:
                replies = taken[report, 1]
                reached = replies.percentile(90) < MOST_P90_MS and not replies.refused
                yield [
                    str(late_starts),
                    report,
                    *replies.figures(),
                    f"p90 < {MOST_P90_MS} ms, no 503",
                    "reached" if reached else "missed",
                ]


if __name__ == "__main__":
    main()
