"""Two web processes whose clocks differ: counts, times to live, keys, and what a wrong clock does to reports.

Nothing reads the hour of the day: both clocks are moved together so that the beginning of an hour falls into the test.
"""

import json
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from conftest import PROJECT, WebServer, manage
from embedded.cassandra import CassandraNode
from embedded.redis import RedisServer
from events.domain import SECOND_MS, format_timestamp, hour_of
from tests.faults.conftest import environment_of, in_own_keyspace, redis_environment
from tests.faults.ledger import ask, wait_until, walk

Figure = Callable[[str], None]
CLOCK = PROJECT / "tests" / "faults" / "clock"
RETENTION_SECONDS = 31_557_600


class Skewed:
    """A service whose clock differs from this process's by ``skew_seconds``."""

    def __init__(self, skew_seconds: float, environment: dict[str, str]) -> None:
        self.skew_seconds = skew_seconds
        self.keyspace = environment["CASSANDRA_KEYSPACE"]
        self._environment = environment
        self.web = WebServer(
            **environment, WEB_WORKERS="1", PYTHONPATH=str(CLOCK), CLOCK_SKEW_SECONDS=str(skew_seconds)
        )

    def now_ms(self) -> int:
        return int((time.time() + self.skew_seconds) * SECOND_MS)

    def record_start(self, country: str, player: str, **fields: Any) -> tuple[int, str]:
        """Without ``ts`` the service's clock stamps it. The status, and the session's id."""
        event = {"event": "start", "player_id": player, "country": country, "session_id": str(uuid.uuid4()), **fields}
        return ask(f"{self.web.url}/api/v1/events/", [event])[0].status, event["session_id"]

    def key_command(self, action: str, *arguments: str) -> Any:
        """What ``api_keys`` says, of an operator whose clock is right."""
        ended = manage("api_keys", action, "--json", *arguments, env={**os.environ, **self._environment})
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def lets_in(self, key: str) -> bool:
        request = urllib.request.Request(f"{self.web.url}/api/v1/", headers={"Authorization": f"Bearer {key}"})
        try:
            status = urllib.request.urlopen(request, timeout=5).status
        except urllib.error.HTTPError as refused:
            status = refused.code
        assert status in (200, 401)
        return status == 200

    def seconds_until(self, key: str, *, is_let_in: bool) -> float:
        answers = (self.lets_in(key) == is_let_in for _ in iter(int, 1))
        return wait_until(answers, seconds=30, otherwise=f"not {is_let_in} within 30 s")

    def starts(self, country: str, *, hours: int = 3) -> tuple[int, set[str]]:
        """The number that the report counts, and the sessions that it lists."""
        counted, listed = walk(f"{self.web.url}/api/v1/reports/starts/{country}/?hours={hours}&limit=1000")
        return counted, {one["session_id"] for one in listed}


@pytest.fixture
def skewed(node: CassandraNode, redis_server: RedisServer) -> Iterator[Callable[..., Skewed]]:
    started: list[Skewed] = []
    settings = {**environment_of([node]), **redis_environment(redis_server.address[1]), "REPORT_CACHE_SECONDS": "0"}
    environment = in_own_keyspace(settings)

    def start(skew_seconds: float, **more: str) -> Skewed:
        started.append(Skewed(skew_seconds, {**environment, **more}))
        return started[-1]

    yield start
    for one in started:
        one.web.stop()


def seconds_until_hour(minutes: float) -> float:
    """By how much to move a clock so that it shows ``minutes`` after an hour began (the current one)."""
    now_ms = time.time_ns() // 1_000_000
    return (hour_of(now_ms) - now_ms) / SECOND_MS + minutes * 60


def ttl_seconds(node: CassandraNode, keyspace: str, player: str, session_id: str) -> int:
    """The time to live that Cassandra has for the start of a session."""
    from cassandra.cluster import Cluster

    cluster = Cluster([node.address[0]], port=node.port)
    try:
        query = f"SELECT TTL(started_at) FROM {keyspace}.session_by_player_id WHERE player_id=%s AND session_id=%s"
        return cluster.connect().execute(query, (player, uuid.UUID(session_id))).one()[0]
    finally:
        cluster.shutdown()


def test_clocks_a_minute_apart(
    node: CassandraNode, skewed: Callable[[float], Skewed], figure: Figure, long_form: bool, country: str
) -> None:
    """With clocks 30 s wrong either way counts are exact and times to live right within these 30 s and 2 s of rounding.

    Two services, one 30 s ahead and one 30 s behind, write while an hour ends, and the one ahead asks for the count:
    for 15 s in which the hour is over for it alone, in the long form for 3 minutes from before the hour.
    """
    # Both move so that the middle of both shows this much after an hour.
    middle = seconds_until_hour(-0.5 if long_form else 0)
    ahead, behind = skewed(middle + 30), skewed(middle - 30)
    sessions: set[str] = set()
    until = time.monotonic() + (180 if long_form else 15)
    player = f"clock_{uuid.uuid4().hex}"
    while time.monotonic() < until:
        for service in (ahead, behind):
            status, session_id = service.record_start(country, player)
            assert status == 201
            sessions.add(session_id)
            late = format_timestamp(hour_of(behind.now_ms()) - 1)
            status, session_id = service.record_start(country, player, ts=late)
            assert status == 201
            sessions.add(session_id)
        counted, listed = ahead.starts(country)
        assert counted == len(listed)
        time.sleep(0.2)
    if long_form:
        time.sleep(61)  # until the clock behind has come to what the other stamped last
    for service in (ahead, behind) if long_form else (ahead,):
        assert service.starts(country) == (len(sessions), sessions)
    off = []
    for service in (ahead, behind):
        began = time.monotonic()
        true_ms = int((time.time() + middle) * SECOND_MS)
        status, session_id = service.record_start(country, player, ts=format_timestamp(true_ms))
        assert status == 201
        left = ttl_seconds(node, service.keyspace, player, session_id)
        off.append(left + int(time.monotonic() - began) - RETENTION_SECONDS)
    assert all(abs(seconds) <= 32 for seconds in off), off
    figure(f"{len(sessions):,} starts, every count exact; times to live {off[0]:+d} and {off[1]:+d} s off")


def test_clocks_twenty_minutes_apart(skewed: Callable[[float], Skewed], figure: Figure, country: str) -> None:
    """With clocks 10 minutes wrong nothing acknowledged is lost, but reports differ: the clock behind shows what the
    other stamped when it gets there, and refuses what is more than 5 minutes ahead of it (400). Counts assume clocks
    within a minute: a clock ahead counts an hour as over that others still write into, and its number for that hour
    stays short, the list complete unless the number is 0, until an event comes late into it.

    Two services, one 10 minutes ahead, for which an hour is over, and one 10 minutes behind, for which it is not.
    """
    middle = seconds_until_hour(52)
    ahead, behind = skewed(middle + 600), skewed(middle - 600)
    player = f"clock_{uuid.uuid4().hex}"

    def recorded(service: Skewed, **fields: Any) -> str:
        status, session_id = service.record_start(country, player, **fields)
        assert status == 201
        return session_id

    there = {recorded(ahead), recorded(behind)}
    assert ahead.starts(country) == (2, there)
    assert len(behind.starts(country)[1]) == 1
    present = format_timestamp(ahead.now_ms())
    assert behind.record_start(country, player, ts=present)[0] == 400
    assert ask(f"{behind.web.url}/api/v1/reports/starts/{country}/?as_of={present}")[0].status == 400
    there.add(recorded(behind))
    # Where the node's clock is behind as well, the hour is not taken for over, and the count is exact.
    short = ahead.starts(country)
    assert short in ((2, there), (3, there))
    there.add(recorded(ahead, ts=format_timestamp(behind.now_ms())))
    assert ahead.starts(country) == (4, there)
    figure(f"4 of 4 acknowledged starts listed; a count of {short[0]} for 3 starts until the late one came")


def test_keys_with_clocks_apart(skewed: Callable[..., Skewed], figure: Figure) -> None:
    """A revoked key is refused everywhere within 3 s, whatever the clocks show. One that expires is refused by each
    process when its own clock shows that moment, so within the difference of the clocks.

    Two services, one with a clock 20 s behind. One key is revoked, another expires 20 s after it was made.
    """
    right, behind = skewed(0, AUTH="keys"), skewed(-20, AUTH="keys")
    made = right.key_command("create", "--name", "expiring", "--scope", "reports:read", "--expires", "20s")
    expiring, expires_at = made["key"], datetime.fromisoformat(made["ends_at"]).timestamp()
    right.seconds_until(expiring, is_let_in=True)
    right.seconds_until(expiring, is_let_in=False)
    assert -0.1 < time.time() - expires_at < 3
    assert behind.lets_in(expiring)
    behind.seconds_until(expiring, is_let_in=False)
    off = time.time() - expires_at
    assert 19.9 < off < 23

    revoked = right.key_command("create", "--name", "revoked", "--scope", "reports:read")["key"]
    for service in (right, behind):
        service.seconds_until(revoked, is_let_in=True)
    right.key_command("revoke", "revoked")
    took = sum(service.seconds_until(revoked, is_let_in=False) for service in (behind, right))
    assert took < 5  # a machine that stalls may take two seconds more
    figure(f"revoked: refused after {took:.1f} s by both; expired: by the clock behind {off:.0f} s later")
