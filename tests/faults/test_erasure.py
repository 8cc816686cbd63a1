"""Players are erased while events come, late and again, and while a node is away: nothing of them is left anywhere."""

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from cassandra.cluster import Cluster

from conftest import WebServer, manage
from embedded.cassandra import CassandraNode
from embedded.redis import RedisServer
from events.domain import HOUR_MS, SECOND_MS, format_timestamp
from tests.faults.conftest import Service, environment_of, in_own_keyspace, redis_environment
from tests.faults.ledger import ask, moment, walk
from tests.faults.test_ring import restart
from tests.faults.test_ring_late_starts import PAUSE_SECONDS, Web, check_patiently, event_of, wall_clock_ms
from tests.truth import Game, Start, Truth

Figure = Callable[[str], None]
SHORT_SECONDS, LONG_SECONDS = 10, 120
SECONDS_BETWEEN_ERASURES = 1.0
PLAYERS = 40
GIVE_UP_SECONDS = 30
# It waits for 95 s after the last request.
MOST_SECONDS_OF_A_PASS = 240
# Of each player; a batch has ten events.
SESSIONS = 5
# Which two of three nodes answer is up to chance.
LOOKS = 20
SECONDS_UNTIL_SHOWN = 60


def player_of(start: Start) -> str:
    """One that no other test has: who was erased stays erased."""
    return f"erased_{start.country}_{start.session_id.int % PLAYERS}"


class TruthWithErasures(Truth):
    """Of players who are ``erasing`` no start must be shown, of the ``erased`` none may."""

    def __init__(self) -> None:
        super().__init__()
        self.erasing: frozenset[str] = frozenset()
        self.erased: frozenset[str] = frozenset()

    def must(self) -> set[Start]:
        return {start for start in super().must() if player_of(start) not in self.erasing}

    def may(self) -> set[Start]:
        return {start for start in super().may() if player_of(start) not in self.erased}


class WebWithPlayers(Web):
    """The service, whose players are those of this test."""

    def send(self, starts: Sequence[Start]) -> None:
        self._ask("events/", [{**event_of(start), "player_id": player_of(start)} for start in starts])


def test_erasures_between_late_starts(
    node: CassandraNode,
    node_service: Service,
    new_country: Callable[[], str],
    figure: Figure,
    long_form: bool,
) -> None:
    """While players are erased one after the other, no report lacks a start of anybody else, and afterwards none shows
    one of theirs: whole days are sent again meanwhile by clients that know nothing of it.

    Four writers, four readers and an erasure a second: 10 s, in the long form 2 minutes; then `erase_players --pending`
    and the export of every player who was erased.
    """
    truth, seed = TruthWithErasures(), random.randrange(2**32)
    print("seed", seed)
    services = [WebWithPlayers(node_service.web.url)]
    options: dict[str, Any] = {"writers": 4, "readers": 4, "pause_seconds": PAUSE_SECONDS, "truth": truth}
    with Game(services, {new_country(), new_country()}, now_ms=wall_clock_ms, seed=seed, **options) as game:
        until = time.monotonic() + (LONG_SECONDS if long_form else SHORT_SECONDS)
        chance = random.Random(seed)
        while time.monotonic() < until and not game.stop.wait(SECONDS_BETWEEN_ERASURES):
            if left := {player_of(start) for start in truth.may()} - truth.erasing:
                player = chance.choice(sorted(left))
                truth.erasing |= {player}
                erase(node_service.web.url, player)
    environment = environment_of([node])
    command("erase_players", "--pending", environment=environment)
    truth.erased = truth.erasing
    check_patiently(game)
    assert truth.erased
    for player in sorted(truth.erased):
        assert tables_of(player, environment) == {"erased_player"}
    figure(f"{game.summary()}, {len(truth.erased)} players erased")


def erase(url: str, player: str) -> None:
    """As a studio does it: again, until it is accepted."""
    until = time.monotonic() + GIVE_UP_SECONDS
    while (status := ask(f"{url}/api/v1/players/{player}/", method="DELETE")[0].status) != 202:
        assert status in (0, 503), status
        assert time.monotonic() < until
        time.sleep(0.2)


def tables_of(player: str, environment: dict[str, str]) -> set[str]:
    """The tables in which any row names the player."""
    exported = command("export_player", player, environment=environment)
    *lines, last = map(json.loads, exported.splitlines())
    assert last == {"rows": len(lines)}
    return {line["table"] for line in lines}


def test_an_erasure_while_a_node_is_away(
    ring_of_three: list[CassandraNode],
    redis_server: RedisServer,
    web_server: Callable[..., WebServer],
    new_country: Callable[[], str],
    figure: Figure,
) -> None:
    """When a node that was away during an erasure brings the rows back, later than hints and deletions are kept,
    nothing of the player is in any report or table once the audit has run again, and nobody else lacks anything.

    A node of three is stopped, the player erased and `done`, the node started; `gc_grace_seconds` is 0, so no hint is
    delivered and deletions are forgotten at once: the reports show the player again, until `audit_store --fix`.
    """
    environment = {**environment_of(ring_of_three), **redis_environment(redis_server.address[1])}
    environment = in_own_keyspace({**environment, "REPORT_CACHE_SECONDS": "0", "WEB_WORKERS": "1"})
    forget_deletions_at_once(ring_of_three, environment["CASSANDRA_KEYSPACE"])
    url, country = web_server(**environment).url, new_country()
    erased, other = (f"{name}_{uuid.uuid4().hex}" for name in ("erased", "other"))
    for player in (erased, other):
        assert ask(f"{url}/api/v1/events/", sessions_of(player, country))[0].status == 201
    assert shown(url, country, erased) == shown(url, country, other) == (SESSIONS, SESSIONS)
    away = ring_of_three[2]
    away.stop()
    try:
        erase(url, erased)
        command("erase_players", "--pending", environment=environment)
        assert shown(url, country, erased) == (0, 0)
    finally:
        restart(away)
    until = time.monotonic() + SECONDS_UNTIL_SHOWN
    while shown(url, country, erased) != (SESSIONS, SESSIONS):
        assert time.monotonic() < until, "the node has brought nothing back"
    report = json.loads(command("audit_store", "--fix", "--json", environment=environment))
    assert {one["kind"] for one in report["problems"]} == {"of an erased player"}
    for _ in range(LOOKS):
        assert shown(url, country, erased) == (0, 0)
        assert shown(url, country, other) == (SESSIONS, SESSIONS)
        assert starts_counted(url, country) == (SESSIONS, SESSIONS)
    assert tables_of(erased, environment) == {"erased_player"}
    assert json.loads(command("audit_store", "--json", environment=environment))["problems"] == []
    figure(f"{sum(one['found'] for one in report['problems'])} rows were back and are gone, {LOOKS} looks, none shown")


def forget_deletions_at_once(ring: list[CassandraNode], keyspace: str) -> None:
    """As ten days later. Cassandra delivers no hint that is older."""
    cluster = Cluster([node.address[0] for node in ring], port=ring[0].port)
    try:
        session = cluster.connect()
        for table in ("session_by_country", "session_by_player_id", "completed_session_by_player_id"):
            session.execute(f"ALTER TABLE {keyspace}.{table} WITH gc_grace_seconds = 0")
    finally:
        cluster.shutdown()


def sessions_of(player: str, country: str) -> list[dict[str, str]]:
    """A batch of sessions that began in the hours before."""
    events: list[dict[str, str]] = []
    for number in range(1, SESSIONS + 1):
        common = {"player_id": player, "session_id": str(uuid.uuid4())}
        began_ms = wall_clock_ms() - number * HOUR_MS
        events.append({"event": "start", "country": country, "ts": format_timestamp(began_ms), **common})
        events.append({"event": "end", "ts": format_timestamp(began_ms + SECOND_MS), **common})
    return events


def shown(url: str, country: str, player: str) -> tuple[int, int]:
    """How many starts and how many completed sessions the reports show of a player."""
    _, starts = walk(f"{url}/api/v1/reports/starts/{country}/?hours=24&as_of={moment()}")
    _, completed = walk(f"{url}/api/v1/reports/players/{player}/sessions/")
    return sum(start["player_id"] == player for start in starts), len(completed)


def starts_counted(url: str, country: str) -> tuple[int, int]:
    """The starts of a country by the two reports that count them."""
    until = moment()
    _, by_hour = ask(f"{url}/api/v1/reports/starts/timeline/?country={country}&hours=24&as_of={until}")
    _, by_country = ask(f"{url}/api/v1/reports/starts/?sessions=0&hours=24&as_of={until}")
    numbers = {one["country"]: one["starts"] for one in by_country["countries"]}
    return sum(point["starts"] for point in by_hour["points"]), numbers[country]


def command(*arguments: str, environment: dict[str, str]) -> str:
    """What a command of ``manage.py`` prints that ends well."""
    everything = {**os.environ, **environment}
    ended = manage(*arguments, "--rate", "1000000", env=everything, timeout=MOST_SECONDS_OF_A_PASS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
