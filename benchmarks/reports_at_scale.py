"""How long the reports take over HTTP as the store grows.

Fills a keyspace for each of the ``--sizes`` with made-up events of 30 days (one that is there already is used again),
starts the service on each, asks one question after another, of all sizes in turn, prints a table and puts it into
RESULTS.md. Wants the stack of ``make up``, or CASSANDRA_HOSTS and REDIS_URL.
"""

import http.client
import json
import random
import shlex
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.markdown import table
from benchmarks.programs import OURS_SHIPPED, PROJECT, environment_with, started
from benchmarks.results import here_and_now, write_section
from benchmarks.store import Store, opened_store
from events.domain import DAY_MS, HOUR_MS, day_of, format_timestamp
from events.importing.generator import COUNTRIES

STARTS = "/api/v1/reports/starts/"
MEASURES = "/api/v1/reports/measures/"
REPORTS = ("all countries", "one country", "timeline", "measures", "measures of one country", "player")
WINDOWS = (1, 24, 168, 720)
DAYS = 30
# Windows end within the last day of the events, at any millisecond: a question nobody has asked is never cached.
LAST_DAY_MS = DAY_MS
# Different questions of one kind when cached replies are measured.
CACHED_KEYS = 20
FIRST_COUNTS = 5
WARM_UP = 5


class Service:
    """A connection to the service, as it is shipped, on one keyspace."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def get(self, path: str, *, accept: str = "*/*") -> tuple[float, dict[str, Any]]:
        """Milliseconds until the last byte, and the reply."""
        began = time.perf_counter()
        self.connection.request("GET", path, headers={"Accept": accept})
        try:
            reply = self.connection.getresponse()
        except http.client.RemoteDisconnected:  # idle for longer than the server waits
            self.connection.close()
            return self.get(path, accept=accept)
        body = reply.read()
        milliseconds = (time.perf_counter() - began) * 1000
        if reply.status != 200:
            raise SystemExit(f"{path}: {reply.status} {body[:300]!r}")
        return milliseconds, json.loads(body)


@contextmanager
def service_on(keyspace: str) -> Iterator[Service]:
    # Longer than the run: what is asked again is answered from the cache.
    kept = {**OURS_SHIPPED.environment, "REPORT_CACHE_SECONDS": "3600"}
    with started(replace(OURS_SHIPPED, environment=kept), keyspace=keyspace) as running:
        yield Service(running.url)


class Asked:
    """A service on so many events, and random questions to it."""

    def __init__(self, size: int, service: Service, store: Store) -> None:
        self.size, self.service, self.store = size, service, store
        self.chance = random.Random(1)
        self.cached: list[str] = []
        _, timeline = service.get(f"{STARTS}timeline/?hours=8784")
        newest = max(point["hour"] for point in timeline["points"] if point["starts"])
        self.newest_ms = int(datetime.fromisoformat(newest).timestamp() * 1000)
        pages = [service.get(f"{STARTS}US/?{self._window(720)}&limit=1000")[1] for _ in range(3)]
        self.players = [row["player_id"] for page in pages for row in page["results"]]
        self.never_asked = self.chance.sample([*{*self.players}], len({*self.players}))

    def question(self, report: str, hours: int) -> str:
        """The address of one of the REPORTS."""
        if report == "player":
            return f"/api/v1/reports/players/{self.chance.choice(self.players)}/sessions/"
        country = self.chance.choice(COUNTRIES)
        path = {
            "one country": f"{STARTS}{country}/?",
            "timeline": f"{STARTS}timeline/?",
            "measures": f"{MEASURES}?",
            "measures of one country": f"{MEASURES}?country={country}&",
        }.get(report, f"{STARTS}?")
        return path + self._window(hours)

    def ask_anew(self, report: str, hours: int) -> float:
        """Milliseconds of a question that nobody has asked: a window that ends at any millisecond, or a new player."""
        path = self.question(report, hours)
        if report == "player":
            path = f"/api/v1/reports/players/{self.never_asked.pop()}/sessions/"
        return self.service.get(path)[0]

    def have_cached(self, report: str, hours: int) -> None:
        """Ask the questions that ``ask_again`` repeats."""
        self.cached = [self.question(report, hours) for _ in range(CACHED_KEYS)]
        for question in self.cached:
            self.service.get(question)

    def ask_again(self) -> float:
        """Milliseconds of a question whose reply is cached."""
        return self.service.get(self.chance.choice(self.cached))[0]

    def count_every_hour(self) -> None:
        """Ask once for each hour that a window can begin or end in, as the first who ask do in a day."""
        for hours in WINDOWS:
            for age_ms in range(0, LAST_DAY_MS + HOUR_MS, HOUR_MS):
                self.service.get(f"{STARTS}timeline/?{self._window(hours, age_ms=age_ms)}")

    def first_count(self) -> float:
        """Milliseconds of a report over 24 hours none of which has been counted."""
        forget_counts(self.store, keyspace_of(self.size), {day_of(self.newest_ms - days * DAY_MS) for days in range(3)})
        return self.ask_anew("all countries", 24)

    def _window(self, hours: int, *, age_ms: int | None = None) -> str:
        age_ms = self.chance.randrange(LAST_DAY_MS) if age_ms is None else age_ms
        return urlencode({"hours": hours, "as_of": format_timestamp(self.newest_ms - age_ms)})


def main() -> None:
    arguments = parsed_arguments()
    lines = []
    with ExitStack() as running:
        store = running.enter_context(opened_store())
        for size in arguments.sizes:
            fill(store, size)
        if arguments.fill_only:
            return
        asked = [Asked(size, running.enter_context(service_on(keyspace_of(size))), store) for size in arguments.sizes]
        for report, hours, measured in measure(asked, arguments.reports, requests=arguments.requests):
            lines.append(line(report, hours, measured))
            print(*lines[-1], sep=" | ", file=sys.stderr, flush=True)
    rows_table = table(titles(arguments.sizes), lines)
    print(rows_table)
    command = f"python -m benchmarks.reports_at_scale {shlex.join(sys.argv[1:])}".strip()
    which = "" if arguments.reports == [*REPORTS] else f": {', '.join(arguments.reports)}"
    write_section(f"reports as the store grows{which}", f"`{command}` {here_and_now()}", rows_table)


def parsed_arguments() -> Namespace:
    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=numbers, default="100000,1000000,10000000", help="events of each store")
    parser.add_argument("--reports", type=lambda text: text.split(","), default=[*REPORTS], help="which (all)")
    parser.add_argument("--requests", type=int, default=200, help="of each report and window (200)")
    parser.add_argument("--fill-only", action="store_true", help="fill the stores and stop")
    return parser.parse_args()


def keyspace_of(size: int) -> str:
    return f"scale_{size // 1000}k"


def fill(store: Store, size: int) -> None:
    """Import ``size`` made-up events into their keyspace, unless it is there. One that was not filled is dropped."""
    keyspace = keyspace_of(size)
    if total_starts(keyspace):
        return
    store.create(keyspace)
    try:
        with tempfile.TemporaryDirectory() as folder:
            dump = f"{folder}/dump.jsonl"
            manage("generate_sessions", f"--events={size}", f"--days={DAYS}", f"--output={dump}")
            manage("import_sessions", dump, f"--checkpoint={folder}/checkpoint", "--json", CASSANDRA_KEYSPACE=keyspace)
    except BaseException:
        store.drop(keyspace)
        raise


def manage(*arguments: str, **variables: str) -> None:
    """Run ``manage.py``."""
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=PROJECT, env=environment_with(**variables), check=True, stdout=sys.stderr)


def total_starts(keyspace: str) -> int:
    """How many starts a keyspace holds; 0 also when it is not there."""
    try:
        with service_on(keyspace) as service:
            return service.get(f"{STARTS}timeline/?hours=8784")[1]["total"]
    except SystemExit:  # 503: no such tables
        return 0


def measure(
    asked: list[Asked], reports: Sequence[str], *, requests: int
) -> Iterator[tuple[str, int, list[list[float]]]]:
    """Each report and window, with the percentiles of each store: p50, p90, p99 of questions never asked before, and
    p90 of cached ones. The stores are asked in turn, so that all have the same neighbours on the machine."""
    firsts = in_turn(asked, Asked.first_count, FIRST_COUNTS)
    yield "first count", 24, [[*percentiles(of_store), 0.0] for of_store in firsts]
    for one in asked:
        one.count_every_hour()
    for report in reports:
        for hours in WINDOWS if report != "player" else (0,):
            ask_anew = partial(Asked.ask_anew, report=report, hours=hours)
            in_turn(asked, ask_anew, WARM_UP)
            uncached = in_turn(asked, ask_anew, requests)
            for one in asked:
                one.have_cached(report, hours)
            cached = in_turn(asked, Asked.ask_again, requests)
            measured = zip(uncached, cached, strict=True)
            yield report, hours, [[*percentiles(anew), percentiles(again)[1]] for anew, again in measured]


def in_turn(asked: list[Asked], ask: Callable[[Asked], float], times: int) -> list[list[float]]:
    """What ``ask`` gives of each store, so many times; one store after the other is asked."""
    rounds = [[ask(one) for one in asked] for _ in range(times)]
    return [list(of_store) for of_store in zip(*rounds, strict=True)]


def forget_counts(store: Store, keyspace: str, days: set[int]) -> None:
    """Delete what the reports have counted for these days."""
    table = f"{keyspace}.country_hour"
    for day in days:
        rows = store.execute(f"SELECT toUnixTimestamp(hour), country FROM {table} WHERE day = {day}")
        store.execute(f"DELETE day_starts, day_counted FROM {table} WHERE day = {day}")
        for hour, country in rows:
            if hour is not None:
                row = f"day = {day} AND hour = {hour} AND country = '{country}'"
                store.execute(f"DELETE starts, counted, minutes FROM {table} WHERE {row}")


def percentiles(milliseconds: Sequence[float]) -> list[float]:
    """p50, p90, p99."""
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return [cuts[49], cuts[89], cuts[98]]


def titles(sizes: Sequence[int]) -> list[str]:
    """Four columns for each size, and the ratio of the p90."""
    heads = [f"{size:,}: {name}" for size in sizes for name in ("p50", "p90", "p99", "cached p90")]
    return ["report", "hours", *heads, "p90 last / first"]


def line(report: str, hours: int, measured: Sequence[Sequence[float]]) -> list[str]:
    """Of the table."""
    numbers = [f"{number:.1f}" if number else "" for of_store in measured for number in of_store]
    return [report, str(hours or ""), *numbers, f"{measured[-1][1] / measured[0][1]:.2f}"]


if __name__ == "__main__":
    main()
