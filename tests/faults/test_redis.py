"""Redis killed, paused, asleep, full, garbled, locked: no request fails, and none waits for it for long."""

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from embedded.redis import READY_SECONDS, RedisServer
from tests.faults.conftest import Service
from tests.faults.ledger import Ledger, Load, ask, moment, read_back

Figure = Callable[[str], None]
MOST_EXTRA_SECONDS = 0.5
# One request in this time and worker may find out that Redis is unavailable.
TRY_SECONDS = 2.0
WORKERS = 2
# Redis takes 1 to 2 MB at rest: less than that is always full.
FULL = "512kb"


@contextmanager
def killed(server: RedisServer) -> Iterator[None]:
    server.process().kill()
    try:
        yield
    finally:
        server.start()
        server.wait_until_ready(seconds=READY_SECONDS)


@contextmanager
def paused(server: RedisServer) -> Iterator[None]:
    server.process().suspend()
    try:
        yield
    finally:
        server.process().resume()


@contextmanager
def asleep(server: RedisServer) -> Iterator[None]:
    once = Retry(NoBackoff(), retries=0)
    with redis.Redis(port=server.address[1], socket_timeout=0.2, retry=once) as client:
        client.client_pause(3_000)
        with pytest.raises(redis.TimeoutError):
            client.ping()
    yield


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    with redis.Redis(port=server.address[1]) as client:
        before = {name: client.config_get(name)[name] for name in ("maxmemory", "maxmemory-policy")}
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", FULL)
        try:
            yield
        finally:
            for name, value in before.items():
                client.config_set(name, value)


@contextmanager
def garbled(server: RedisServer) -> Iterator[None]:
    with redis.Redis(port=server.address[1]) as client:
        for number, key in enumerate(client.scan_iter()):
            client.set(key, b"\x80garbage" if number % 2 else pickle.dumps({"not": "a reply"}))
        yield


@contextmanager
def locked(server: RedisServer) -> Iterator[None]:
    with redis.Redis(port=server.address[1]) as client:
        client.config_set("requirepass", "secret")
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            client.config_set("requirepass", "")


FAULTS = [killed, paused, asleep, full, garbled, locked]


def report_seconds(url: str, country: str) -> float:
    """How long a report takes that is asked for the first time."""
    reply, report = ask(f"{url}/api/v1/reports/starts/{country}/?hours=1&limit=1&as_of={moment(seconds_ago=1)}")
    assert reply.status == 200
    assert report["country"] == country
    return reply.seconds


def report_seconds_during(seconds: float, url: str, country: str) -> list[float]:
    until = time.monotonic() + seconds
    took = []
    while time.monotonic() < until:
        took.append(report_seconds(url, country))
    return took


def test_redis_in_trouble(
    node_service: Service, redis_server: RedisServer, ledger: Ledger, figure: Figure, long_form: bool
) -> None:
    """Whatever happens to Redis no request fails, every answer is right, and at most one request in 2 s and worker
    waits for it, at most 0.5 s.

    Redis killed, paused, asleep (`CLIENT PAUSE`), full, with garbage under our keys, with a password that the service
    does not know: each for 3 s, in the long form for 20 s, under load.
    """
    seconds = 20.0 if long_form else 3.0
    undisturbed = sorted(report_seconds(node_service.web.url, "RD") for _ in range(50))[-2]
    slow: dict[str, int] = {}
    slowest = 0.0
    with Load(node_service.web.url, ledger, country="RD", clients=2, pause_seconds=0.1) as load:
        for fault in FAULTS:
            with fault(redis_server):
                took = report_seconds_during(seconds, node_service.web.url, "RD")
            slow[fault.__name__] = sum(1 for one in took if one > undisturbed + 0.09)
            slowest = max(slowest, max(took) - undisturbed)
    back = read_back(load)
    print(back, load.summary(), slow, slowest, undisturbed)
    assert back.exact(), back
    assert not load.failed(), load.summary()
    assert slowest <= MOST_EXTRA_SECONDS
    assert max(slow.values()) <= WORKERS * (seconds / TRY_SECONDS + 1), slow
    figure(
        f"{back.summary()}; 0 of {len(load.replies):,} requests failed; "
        f"at most {max(slow.values())} late replies in {seconds:.0f} s, "
        f"the slowest {max(slowest, 0):.2f} s later than usual"
    )
