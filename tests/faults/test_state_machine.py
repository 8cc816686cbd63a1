"""Hypothesis invents histories of requests, imports and refusals: the service agrees with a model in plain Python."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from conftest import PROJECT, WebServer
from embedded.cassandra import CassandraNode
from embedded.redis import RedisServer
from tests.faults.conftest import environment_of, redis_environment
from tests.faults.ledger import ask
from tests.faults.proxy import Network, Proxy

Figure = Callable[[str], None]
# Five years, so that a leap day lies within them.
RETENTION_SECONDS = 5 * 31_557_600
# A store that does not answer is given up after it; a write on a machine that stalls for a moment is not.
STORE_SECONDS = 1.0
HOURS = 8784
# Moments at which calendars break; the report around each is checked.
LEAP_DAY = datetime(2024, 2, 29, 12, tzinfo=UTC)
NEW_YEAR = datetime(2025, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
BEFORE_1970 = datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
PLAYERS = [f"model_{number}" for number in range(3)]

sessions = st.integers(0, 9)
players = st.sampled_from(PLAYERS)
moments = st.sampled_from(["leap day", "new year", "before 1970", "now", "too old", "nearly too old"])


class Model:
    """What the service should hold: starts and ends of sessions, the latest of each."""

    def __init__(self) -> None:
        self.starts: set[tuple[str, str, str]] = set()  # ts, session, player
        self.started: dict[tuple[str, str], str] = {}
        self.ended: dict[tuple[str, str], str] = {}

    def record(self, event: dict[str, Any]) -> None:
        key, ts = (event["player_id"], event["session_id"]), event["ts"]
        if event["event"] == "start":
            self.starts.add((ts, event["session_id"], event["player_id"]))
            self.started[key] = max(ts, self.started.get(key, ts))
        else:
            self.ended[key] = max(ts, self.ended.get(key, ts))

    def completed(self, player: str) -> list[tuple[str, str, str | None]]:
        """Every completed session as (end, session, start)."""
        return sorted((end, key[1], self.started.get(key)) for key, end in self.ended.items() if key[0] == player)


class Histories(RuleBasedStateMachine):
    """One history. ``web`` and ``store`` are set by the test."""

    web: WebServer
    store: Proxy
    requests = 0

    def __init__(self) -> None:
        super().__init__()
        self.run = uuid.uuid4().hex
        self.country = next(_countries)
        self.model = Model()
        self.sent: list[dict[str, Any]] = []
        self.changed = False

    def event(self, kind: str, player: str, session: int, moment: str, offset_ms: int) -> dict[str, Any]:
        ts = _moment(moment) + timedelta(milliseconds=offset_ms)
        event = {
            "event": kind,
            "player_id": f"{player}_{self.run}",
            "session_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.run}{player}{session}")),
            "ts": ts.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return event | ({"country": self.country} if kind == "start" else {})

    def post(self, batch: list[dict[str, Any]]) -> int:
        Histories.requests += 1
        reply, answer = ask(f"{self.web.url}/api/v1/events/", batch)
        if reply.status == 201:
            for event, result in zip(batch, answer["results"], strict=True):
                assert result["session_id"] == event["session_id"]
                assert result["status"] == ("stored" if _young(event) else "discarded"), (event, result)
                self.accept(event)
        return reply.status

    def accept(self, event: dict[str, Any]) -> None:
        if _young(event):
            self.model.record(event)
            self.sent.append(event)
            self.changed = True

    @rule(
        kinds=st.lists(st.sampled_from(["start", "end"]), min_size=1, max_size=10),
        player=players,
        session=sessions,
        moment=moments,
        offset_ms=st.integers(0, 3),
    )
    def send_a_batch(self, kinds: list[str], player: str, session: int, moment: str, offset_ms: int) -> None:
        batch = [
            self.event(kind, player, (session + number // 2) % 10, moment, offset_ms)
            for number, kind in enumerate(kinds)
        ]
        assert self.post(batch) == 201

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again_in_another_order(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.sent), min_size=1, max_size=10))
        assert self.post(data.draw(st.permutations(chosen))) == 201

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), offset_ms=st.integers(-5, 5))
    def end_twice(self, data: st.DataObject, offset_ms: int) -> None:
        known = data.draw(st.sampled_from(self.sent))
        moment = datetime.fromisoformat(known["ts"]) + timedelta(milliseconds=offset_ms)
        ts = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        end = {"event": "end", "player_id": known["player_id"], "session_id": known["session_id"], "ts": ts}
        assert self.post([end]) == 201

    @rule(player=players, session=sessions)
    def be_refused_and_repeat(self, player: str, session: int) -> None:
        batch = [self.event(kind, player, session, "now", 0) for kind in ("start", "end")]
        self.store.network = Network(unresponsive=True)
        try:
            assert self.post(batch) == 503
        finally:
            self.store.network = Network()
        until = time.monotonic() + 10
        while (status := self.post(batch)) != 201:
            assert status == 503
            assert time.monotonic() < until
            time.sleep(0.1)

    @precondition(lambda self: IMPORTS)
    @rule(player=players, session=sessions, moment=moments)
    def import_a_dump(self, player: str, session: int, moment: str) -> None:
        events = [self.event(kind, player, session, moment, 1) for kind in ("end", "start")]
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "dump.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
            command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "dump.jsonl", "--workers", "1"]
            subprocess.run(command, cwd=folder, env=IMPORTS, check=True, capture_output=True)
        for event in events:
            self.accept(event)

    @invariant()
    def reports_agree(self) -> None:
        if not self.changed:
            return
        self.changed = False
        for player in PLAYERS:
            name = f"{player}_{self.run}"
            _, answer = ask(f"{self.web.url}/api/v1/reports/players/{name}/sessions/?limit=100")
            there = [(one["ended_at"], one["session_id"], one["started_at"]) for one in answer["results"]]
            assert sorted(there) == self.model.completed(name)
            assert [end for end, _, _ in there] == sorted((end for end, _, _ in there), reverse=True)
        for moment in ("leap day", "new year", "now", "nearly too old"):
            self.check_starts(_moment(moment) + timedelta(seconds=2 if moment != "now" else 0))

    def check_starts(self, end: datetime) -> None:
        """The starts of the day before ``end``."""
        as_of = min(end, datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        begin = (datetime.fromisoformat(as_of) - timedelta(days=1)).isoformat(timespec="milliseconds")
        wanted = {start for start in self.model.starts if begin.replace("+00:00", "Z") < start[0] <= as_of}
        url = f"{self.web.url}/api/v1/reports/starts/{self.country}/?hours=24&limit=1000&as_of={as_of}"
        _, answer = ask(url)
        there = {(one["ts"], one["session_id"], one["player_id"]) for one in answer["results"]}
        assert (there, answer["starts"]) == (wanted, len(wanted))


IMPORTS: dict[str, str] = {}
LONGEST_RUN_SECONDS = 3 * 3_600
_countries: Iterator[str] = iter(())
_began = datetime.now(UTC)


def _moment(name: str) -> datetime:
    """Moments of one test run stay the same, so that events meet."""
    return {
        "leap day": LEAP_DAY,
        "new year": NEW_YEAR,
        "before 1970": BEFORE_1970,
        "now": _began,
        "too old": _began - timedelta(seconds=RETENTION_SECONDS + 1),
        # Events that live a second are in test_the_edge_of_the_retention.
        "nearly too old": _began - timedelta(seconds=RETENTION_SECONDS - LONGEST_RUN_SECONDS),
    }[name]


def _young(event: dict[str, Any]) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(event["ts"]) < timedelta(seconds=RETENTION_SECONDS)


@pytest.fixture
def proxied_web(node: CassandraNode, redis_server: RedisServer) -> Iterator[tuple[WebServer, Proxy, dict[str, str]]]:
    proxy = Proxy(node.address)
    environment = {
        **environment_of([node]),
        **redis_environment(redis_server.address[1]),
        "RETENTION_SECONDS": str(RETENTION_SECONDS),
        "REPORT_CACHE_SECONDS": "0",
        "CASSANDRA_TIMEOUT_SECONDS": str(STORE_SECONDS),
    }
    web = WebServer(**{**environment, "CASSANDRA_PORT": str(proxy.port), "WEB_WORKERS": "1"})
    yield web, proxy, environment | {"CASSANDRA_TIMEOUT_SECONDS": "2"}
    web.stop()
    proxy.close()


def test_histories_agree_with_a_model(
    proxied_web: tuple[WebServer, Proxy, dict[str, str]],
    new_country: Callable[[], str],
    figure: Figure,
    long_form: bool,
) -> None:
    """After any history of batches, repetitions, second ends, refusals and imports the reports hold what a model in
    plain Python holds.

    A Hypothesis state machine over the API with events on a leap day, at a year's edge, before 1970 and at the edge of
    the retention; 6 histories of 8 steps, in the long form 60 of 30 and imports in between.
    """
    global _began, _countries
    _began = datetime.now(UTC)
    Histories.web, Histories.store, environment = proxied_web
    Histories.requests = 0
    _countries = iter(new_country, "")
    IMPORTS.clear()
    if long_form:
        IMPORTS.update(os.environ | environment)
    examples, steps = (60, 30) if long_form else (6, 8)
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=[Phase.generate],  # shrinking a failure would take minutes of requests
            derandomize=not long_form,
        ),
    )
    figure(f"{examples} histories with {Histories.requests:,} batches, no difference")


def test_the_edge_of_the_retention(
    proxied_web: tuple[WebServer, Proxy, dict[str, str]], figure: Figure, country: str
) -> None:
    """An event a second older than the retention is discarded, one that is five seconds younger is stored, and expired
    six seconds later.

    Starts at the edge, to within a second; the report is asked again after the time has passed.
    """
    web, _, _ = proxied_web

    def start(seconds_to_live: float) -> str:
        at = datetime.now(UTC) - timedelta(seconds=RETENTION_SECONDS - seconds_to_live)
        ts = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"event": "start", "player_id": "edge", "country": country, "session_id": str(uuid.uuid4()), "ts": ts}
        return ask(f"{web.url}/api/v1/events/", [event])[1]["results"][0]["status"]

    def listed() -> int:
        as_of = datetime.now(UTC) - timedelta(seconds=RETENTION_SECONDS - 3_600)
        query = f"hours=2&as_of={as_of.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
        answer = ask(f"{web.url}/api/v1/reports/starts/{country}/?{query}")[1]
        assert answer["starts"] == len(answer["results"])
        return int(answer["starts"])

    assert [start(-1), start(0.9), start(5.9)] == ["discarded", "discarded", "stored"]
    assert listed() == 1
    time.sleep(6)
    assert listed() == 0
    figure("discarded, discarded, stored; listed once, and not after 6 s")
