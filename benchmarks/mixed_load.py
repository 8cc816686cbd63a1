"""What batches notice of readers who ask the dearest questions.

Fills a keyspace with a player of 39,990 sessions and a year of made-up events, serves it with two workers, and sends 20
batches a second beside more and more readers: of the player's sessions (completed with overlaps, open, all), of a year
of all countries, and of files of a country's year. No question is asked twice, so none is answered from a cache; a
reader who is refused waits as Retry-After says, unless ``--impatient``. Adds the lines to RESULTS.md. Wants the stack
of ``make up``.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from urllib.parse import urlencode

os.environ["CASSANDRA_KEYSPACE"] = KEYSPACE = "bench_mixed_load"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")

import django  # the keyspace is the service's and ours

django.setup()

from benchmarks.markdown import table  # noqa: E402
from benchmarks.mixed_clients import BATCHES_PER_SECOND, MixedLoad, Replies  # noqa: E402
from benchmarks.overload import milliseconds  # noqa: E402
from benchmarks.players import fill_player  # noqa: E402
from benchmarks.programs import OURS_SHIPPED, PROJECT, environment_with, started  # noqa: E402
from benchmarks.results import here_and_now, write_section  # noqa: E402
from benchmarks.store import opened_store  # noqa: E402
from events.domain import DAY_MS, format_timestamp  # noqa: E402
from reports.cursors import encode_cursor  # noqa: E402
from reports.player_sessions import State  # noqa: E402
from reports.positions import Position  # noqa: E402
from reports.views import PLAYERS  # noqa: E402
from store import cassandra  # noqa: E402

READERS = "0,4,16,40"
PLAYER, SESSIONS = "dear", 39_990
# The largest country has three tenths of the starts.
EVENTS, DAYS, COUNTRY = 200_000, 366, "US"
HOURS = 8_784
STARTS = "/api/v1/reports/starts/"
# Every kind of question once, so that its statements are prepared and its hours counted.
WARM_UP_READERS, WARM_UP_SECONDS = 5, 3
# What is asked of a batch beside readers: at most so long for 9 of 10, and none refused.
WANTED_P90_MS = 100
TITLES = (
    *("readers", "batches", "p50_ms", "p90_ms", "p99_ms", "refused", "others"),
    *("reports_s", "reports_p50_ms", "reports_p90_ms", "reports_refused_s", "reports_others", "wanted"),
)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--readers", default=READERS, help="how many read beside the batches, one line each")
    parser.add_argument("--seconds", type=int, default=30, help="of each line (default: 30)")
    parser.add_argument("--impatient", action="store_true", help="readers who are refused ask again at once")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        store = stack.enter_context(opened_store())
        store.create(KEYSPACE)
        stack.callback(store.drop, KEYSPACE)
        fill_store()
        running = stack.enter_context(started(OURS_SHIPPED, keyspace=KEYSPACE))
        numbers = [int(number) for number in arguments.readers.split(",")]
        lines = list(measured(running.url, numbers, seconds=arguments.seconds, patient=not arguments.impatient))
    manner = "ask again at once when refused" if arguments.impatient else "honour Retry-After"
    description = f"`python -m benchmarks.mixed_load`: {BATCHES_PER_SECOND} batches/s beside readers who {manner}, "
    description += f"{arguments.seconds} s a line, {here_and_now()}"
    write_section("mixed load, impatient" if arguments.impatient else "mixed load", description, table(TITLES, lines))


def fill_store() -> None:
    """The player, and the year of the other questions."""
    fill_player(PLAYER, SESSIONS, now_ms=time.time_ns() // 1_000_000)
    cassandra.disconnect()
    manage = [sys.executable, str(PROJECT / "manage.py")]
    generated = ["--events", str(EVENTS), "--days", str(DAYS), "--output", "dump.jsonl"]
    with tempfile.TemporaryDirectory() as folder:
        for command in (["generate_sessions", *generated], ["import_sessions", "dump.jsonl"]):
            subprocess.run(
                [*manage, *command], cwd=folder, env=environment_with(), check=True, stdout=subprocess.DEVNULL
            )


def measured(url: str, numbers: Iterable[int], *, seconds: int, patient: bool) -> Iterator[list[str]]:
    """A line of the table for each number of readers."""
    MixedLoad(url, question=question).run(readers=WARM_UP_READERS, seconds=WARM_UP_SECONDS)
    for readers in numbers:
        load = MixedLoad(url, question=question, patient=patient).run(readers=readers, seconds=seconds)
        line = cells(load.batches, load.reports, readers=readers, seconds=seconds)
        print(*line, *load.batches.others[:3], *load.reports.others[:3], flush=True)
        yield line


def cells(batches: Replies, reports: Replies, *, readers: int, seconds: int) -> list[str]:
    """A line with the columns of TITLES."""
    p90_ms = milliseconds(batches.good, 90)
    reached = p90_ms <= WANTED_P90_MS and not batches.refused and not batches.others
    return [
        str(readers),
        str(len(batches.good)),
        *(str(milliseconds(batches.good, percent)) for percent in (50, 90, 99)),
        str(batches.refused),
        str(len(batches.others)),
        f"{len(reports.good) / seconds:.1f}",
        *(str(milliseconds(reports.good, percent)) for percent in (50, 90)),
        f"{reports.refused / seconds:.1f}",
        str(len(reports.others)),
        "yes" if reached else "no",
    ]


def question(number: int) -> str:
    """The address of a dear question that nobody has asked: of a page, or of a window, that begins at any moment."""
    moment_ms = time.time_ns() // 1_000_000 - random.randrange(DAY_MS)
    as_of = {"hours": HOURS, "as_of": format_timestamp(moment_ms)}
    states: tuple[State, ...] = ("completed", "open", "all")
    kind = number % (len(states) + 2)
    if kind == len(states):
        return f"{STARTS}?{urlencode(as_of)}"
    if kind > len(states):
        return f"{STARTS}{COUNTRY}/?{urlencode({**as_of, 'format': 'csv'})}"
    cursor = encode_cursor(Position(moment_ms, uuid.uuid4()), report=f"{PLAYERS}.{states[kind]}")
    query = {"state": states[kind], "overlaps": "true", "cursor": cursor}
    return f"/api/v1/reports/players/{PLAYER}/sessions/?{urlencode(query)}"


if __name__ == "__main__":
    main()
