"""Starts come late, in any order and again, while things break: every report agrees with a model in plain Python."""

import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from conftest import WebServer, manage
from embedded.cassandra import CassandraNode
from embedded.redis import RedisServer
from events.domain import HOUR_MS, SECOND_MS, Window, format_timestamp
from tests.faults.conftest import Service, environment_of, in_own_keyspace, redis_environment
from tests.faults.ledger import ask, wait_until_stored
from tests.faults.test_clocks import CLOCK, seconds_until_hour
from tests.faults.test_ring import WARM_UP_SECONDS, kill, paused, restart
from tests.truth import Game, Refused, Start

Figure = Callable[[str], None]
SHORT_SECONDS, LONG_SECONDS = 10, 120
# About 70 new starts a second, and those that are sent again.
PAUSE_SECONDS = 0.2
# Of the service while it is paused.
PATIENCE_SECONDS = 60
# When counts can be kept: the margin, and clocks that are apart.
SECONDS_UNTIL_KEPT = 130
RECOVERY_SECONDS = 20.0
# What reports are still without is counted within a minute, without anybody asking again.
CATCHING_UP_SECONDS = 60.0
PAGE = 1_000
IMPORTED, IMPORTED_AGAIN = 1_000, 300
# A batch that its coordinator left behind is replayed when it is 4 s old, every 10 s.
REPLAY_SECONDS = 20


class Incomplete(Refused):
    """The report says itself that it is without some starts."""


class Web:
    """A service over HTTP, as tests.truth asks it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, starts: Sequence[Start]) -> None:
        self._ask("events/", [event_of(start) for start in starts])

    def by_hour(self, country: str, window: Window) -> Counter[int]:
        report = self._ask(f"reports/starts/timeline/?country={country}&{query(window)}")
        return Counter({milliseconds(point["hour"]): point["starts"] for point in report["points"]})

    def by_country(self, window: Window) -> Counter[str]:
        report = self._ask(f"reports/starts/?sessions=0&{query(window)}")
        return Counter({one["country"]: one["starts"] for one in report["countries"]})

    def listed(self, country: str, window: Window) -> Counter[Start]:
        return Counter(
            Start(country, milliseconds(row["ts"]), uuid.UUID(row["session_id"]))
            for page in self._pages(f"reports/starts/{country}/?limit={PAGE}&{query(window)}")
            for row in page["results"]
        )

    def _pages(self, path: str) -> Iterator[Any]:
        page = self._ask(path)
        yield page
        while page["next"]:
            page = self._ask(page["next"].partition("/api/v1/")[2])
            yield page

    def _ask(self, path: str, body: Any = None) -> Any:
        reply, answer = ask(f"{self._url}/api/v1/{path}", body, patience_seconds=PATIENCE_SECONDS)
        if reply.status in (0, 503):
            raise Refused
        assert reply.status in (200, 201), reply
        if isinstance(answer, dict) and answer.get("late"):
            raise Incomplete
        return answer


def event_of(start: Start) -> dict[str, str]:
    return {
        "event": "start",
        "country": start.country,
        "player_id": f"late_{start.session_id.int % 100}",
        "session_id": str(start.session_id),
        "ts": format_timestamp(start.ts_ms),
    }


def query(window: Window) -> str:
    """A window, as a query."""
    hours = (window.to_ms - window.from_ms) // HOUR_MS
    return f"hours={hours}&as_of={format_timestamp(window.to_ms)}"


def milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * SECOND_MS)


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def new_game(
    webs: Sequence[WebServer], new_country: Callable[[], str], now_ms: Callable[[], int] = wall_clock_ms
) -> Game:
    """Four writers and four readers, dealt to the services."""
    countries = {new_country(), new_country()}
    services = [Web(web.url) for web in webs]
    seed = random.randrange(2**32)
    print("seed", seed)
    return Game(services, countries, now_ms=now_ms, seed=seed, writers=4, readers=4, pause_seconds=PAUSE_SECONDS)


def check_at_the_end(game: Game, *, long_form: bool) -> None:
    """Every report of every service is exact; in the long form also once counts have been kept."""
    check_patiently(game)
    if long_form:
        time.sleep(SECONDS_UNTIL_KEPT)
        check_patiently(game)
        check_patiently(game)


def check_patiently(game: Game) -> None:
    """A store that has just come back may refuse for a moment."""
    began = time.monotonic()
    for service in game.services:
        while True:
            try:
                game.check(service)
                break
            except Incomplete:
                assert time.monotonic() < began + CATCHING_UP_SECONDS, "late starts are not counted"
            except Refused:
                assert time.monotonic() < began + RECOVERY_SECONDS, "no recovery"
                time.sleep(0.5)


def test_late_starts_beside_imports(
    node_service: Service,
    new_country: Callable[[], str],
    tmp_path: Path,
    figure: Figure,
    long_form: bool,
) -> None:
    """A report that is asked for after a 201 has that start, and none that nobody sent, while starts of three days come
    in any order, whole days are sent again by several clients at once, and imports bring new and old ones of the same
    hours.

    Four writers, four readers and one import after the other: 10 s, in the long form 2 minutes.
    """
    environment = {**os.environ, **environment_of(node_service.nodes)}
    chance = random.Random(1)
    with new_game([node_service.web], new_country) as game:
        until = time.monotonic() + (LONG_SECONDS if long_form else SHORT_SECONDS)
        imports = 0
        while time.monotonic() < until:
            import_some(game, chance, tmp_path, environment)
            imports += 1
    check_at_the_end(game, long_form=long_form)
    figure(f"{game.summary()}, {imports} imports")


def import_some(game: Game, chance: random.Random, folder: Path, environment: dict[str, str]) -> None:
    """Import a dump of new starts and of some that have been sent."""
    known = sorted(game.truth.may())
    starts = game.new_starts(chance, IMPORTED) + chance.sample(known, min(len(known), IMPORTED_AGAIN))
    chance.shuffle(starts)
    dump = folder / "dump.jsonl"
    dump.write_text("".join(json.dumps(event_of(start)) + "\n" for start in starts))
    game.truth.sending(starts)
    imported = manage("import_sessions", str(dump), "--json", env=environment, cwd=folder)
    assert imported.returncode == 0, imported.stderr
    game.truth.acknowledged(starts)


def test_late_starts_of_a_paused_process(
    node: CassandraNode,
    redis_server: RedisServer,
    web_server: Callable[..., WebServer],
    new_country: Callable[[], str],
    figure: Figure,
    long_form: bool,
) -> None:
    """Reports are exact when a web process is paused in the middle of its writes and goes on when they are late, with a
    clock that is 30 s behind.

    SIGSTOP of one of two services under load for 6 s, in the long form for 35 s and three times.
    """
    environment = {**environment_of([node]), **redis_environment(redis_server.address[1]), "WEB_WORKERS": "1"}
    steady = web_server(**environment)
    halting = web_server(**environment, PYTHONPATH=str(CLOCK), CLOCK_SKEW_SECONDS="-30")
    with new_game([halting, steady], new_country) as game:
        for _ in range(3 if long_form else 1):
            time.sleep(3)
            with stopped(halting):
                time.sleep(35 if long_form else 6)
        time.sleep(3)
    check_at_the_end(game, long_form=long_form)
    figure(game.summary())


@contextmanager
def stopped(web: WebServer) -> Iterator[None]:
    """All processes of a service, in the middle of whatever they do."""
    server = psutil.Process(web.process.pid)
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_late_starts_while_cassandra_is_silent(
    node_service: Service, new_country: Callable[[], str], figure: Figure, long_form: bool
) -> None:
    """Reports are exact when batches are refused because Cassandra says nothing, become durable when it goes on, and
    are sent again.

    SIGSTOP of the node under load for 5 s, in the long form for 10 s and eight times.
    """
    with new_game([node_service.web], new_country) as game:
        for _ in range(8 if long_form else 1):
            time.sleep(3)
            with paused(node_service.nodes):
                time.sleep(10 if long_form else 5)
            wait_until_stored(node_service.web.url, seconds=RECOVERY_SECONDS)
        time.sleep(3)
    assert game.refused
    check_at_the_end(game, long_form=long_form)
    figure(game.summary())


def test_late_starts_with_clocks_apart(
    node: CassandraNode,
    redis_server: RedisServer,
    web_server: Callable[..., WebServer],
    new_country: Callable[[], str],
    figure: Figure,
    long_form: bool,
) -> None:
    """Reports of two services with clocks 30 s apart are exact while an hour ends.

    One is 15 s ahead, one 15 s behind: 10 s, in the long form 2 minutes.
    """
    # The hour ends for one, then for the other, while starts come.
    middle = seconds_until_hour(-0.5 if long_form else 0.2)
    environment = {
        **environment_of([node]),
        **redis_environment(redis_server.address[1]),
        "WEB_WORKERS": "1",
        "PYTHONPATH": str(CLOCK),
    }
    environment = in_own_keyspace(environment)
    webs = [web_server(**environment, CLOCK_SKEW_SECONDS=str(middle + apart)) for apart in (15, -15)]
    with new_game(webs, new_country, now_ms=lambda: wall_clock_ms() + int(middle * SECOND_MS)) as game:
        time.sleep(LONG_SECONDS if long_form else SHORT_SECONDS)
    check_at_the_end(game, long_form=long_form)
    figure(game.summary())


def test_late_starts_when_a_coordinator_dies(
    ring_service: Service, new_country: Callable[[], str], figure: Figure, long_form: bool
) -> None:
    """Reports are exact when the node that writes a batch is killed in the middle of it and others finish the batch
    from their log.

    `kill -9` of a node of three under load, 20 s for the replay, then its restart: once, in the long form of each in
    turn, twice.
    """
    with new_game([ring_service.web], new_country) as game:
        for node in ring_service.nodes * 2 if long_form else ring_service.nodes[:1]:
            time.sleep(WARM_UP_SECONDS)
            kill(node)
            time.sleep(REPLAY_SECONDS)
            restart(node)
        time.sleep(WARM_UP_SECONDS)
    check_at_the_end(game, long_form=long_form)
    figure(game.summary())
