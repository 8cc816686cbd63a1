"""What ``cache_page`` alone takes: a player's report that is not cached, as the floor makes it, without and behind it.

``python -m benchmarks.cache_page`` makes the same reports in turn in one process: with a GET and a SET in Redis by hand
(floor-cached), and behind Django's ``cache_page`` over our report cache, with nothing else of the framework or of the
service. Adds the CPU of the process to RESULTS.md. Wants the stack of ``make up``.
"""

import os
import random
import statistics
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any

os.environ["CASSANDRA_KEYSPACE"] = KEYSPACE = "bench_cache_page"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")

import django  # the keyspace must be there first

django.setup()

from django.core.handlers.wsgi import WSGIRequest  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402

from benchmarks.markdown import table  # noqa: E402
from benchmarks.players import fill_player  # noqa: E402
from benchmarks.results import here_and_now, write_section  # noqa: E402
from benchmarks.store import opened_store  # noqa: E402
from store import cassandra  # noqa: E402

PLAYERS, SESSIONS, ROUNDS = 300, 25, 9
TITLES = ("report", "CPU µs of the process, by round", "median", "floor / it")
Application = Callable[[dict[str, Any]], Any]


def main() -> None:
    """Measure both in turn."""
    with opened_store() as store:
        store.create(KEYSPACE)
        players = [uuid.uuid4().hex for _ in range(PLAYERS)]
        for player in players:
            fill_player(player, SESSIONS, now_ms=time.time_ns() // 1_000_000)
        lines = measured(players)
        cassandra.disconnect()
        store.drop(KEYSPACE)
    print(table(TITLES, lines))
    write_section("cache_page alone", f"`python -m benchmarks.cache_page` {here_and_now()}", table(TITLES, lines))


def measured(players: list[str]) -> list[list[str]]:
    """Return the lines of the table."""
    floor_reads = import_module("benchmarks.apps.floor_reads")  # its statement needs the table

    def report(_: HttpRequest, player: str) -> HttpResponse:
        body = floor_reads.player_report(player)
        return HttpResponse(body, content_type="application/json", headers={"Vary": "Accept"})  # as every report

    page = cache_page(50)(report)
    applications: dict[str, Application] = {
        "floor-cached": lambda environ: floor_reads.application(environ, lambda *_: None),
        "behind cache_page": lambda environ: page(request_of(environ), environ["PATH_INFO"].rpartition("/")[2]),
    }
    taken: dict[str, list[float]] = {name: [] for name in applications}
    for number in range(ROUNDS + 1):
        for name, application in applications.items():
            microseconds = cpu_of(application, players)
            if number:  # the first round warms up
                taken[name].append(microseconds)
    floor = statistics.median(taken["floor-cached"])
    return [
        [name, ", ".join(f"{one:.0f}" for one in rounds), f"{median:.0f}", f"{floor / median:.2f}"]
        for name, rounds in taken.items()
        for median in [statistics.median(rounds)]
    ]


def cpu_of(application: Application, players: list[str]) -> float:
    """Return the CPU of the process for a report, in microseconds; each is asked under a Host of this round."""
    host = f"127.0.0.1:{random.randrange(1, 65_536)}"
    asked = [environ_of(player, host) for player in players]
    began = time.process_time()
    for environ in asked:
        application(environ)
    return (time.process_time() - began) / len(players) * 1e6


def environ_of(player: str, host: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"/cached-players/{player}",
        "QUERY_STRING": "",
        "HTTP_HOST": host,
        "HTTP_ACCEPT": "*/*",
        "wsgi.input": BytesIO(),
        "wsgi.url_scheme": "http",
    }


def request_of(environ: dict[str, Any]) -> HttpRequest:
    return WSGIRequest(environ)


if __name__ == "__main__":
    main()
