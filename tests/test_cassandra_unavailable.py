"""Cassandra stopped or paused under load: 503 with Retry-After within 2.5 s, and recovery without a restart."""

import json
import signal
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from django.core.cache import caches

from conftest import WebServer, environment_of_node
from embedded.cassandra import READY_SECONDS, CassandraNode
from events.counting.background import LEASE
from tests.clients import Clients

pytestmark = pytest.mark.own_node

# Twice the requests that the two workers work on: some wait for their turn.
CLIENTS = 16


class Reply(NamedTuple):
    at: float
    seconds: float
    status: int
    retry_after: str | None


class Node(NamedTuple):
    node: CassandraNode
    web: WebServer


@pytest.fixture(scope="module")
def served(node: CassandraNode) -> Iterator[Node]:
    """For tests that leave node and service as they were."""
    web = web_of(node)
    yield Node(node, web)
    web.stop()


def web_of(node: CassandraNode) -> WebServer:
    return WebServer(**environment_of_node(node), WEB_WORKERS="2", WEB_THREADS="4")


def post_event(url: str) -> Reply:
    body = json.dumps([{"event": "end", "player_id": "somebody", "session_id": str(uuid.uuid4())}]).encode()
    request = urllib.request.Request(f"{url}/api/v1/events/", body, {"Content-Type": "application/json"})
    return _asked(request)


def get_report(url: str) -> Reply:
    return _asked(urllib.request.Request(f"{url}/api/v1/reports/players/{uuid.uuid4().hex}/sessions/"))


def _asked(request: urllib.request.Request) -> Reply:
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            status, retry_after = reply.status, None
            reply.read()
    except urllib.error.HTTPError as error:
        status, retry_after = error.code, error.headers["Retry-After"]
    return Reply(began, time.monotonic() - began, status, retry_after)


class Load(Clients):
    """Some clients that post and read without pause."""

    def __init__(self, url: str) -> None:
        super().__init__(CLIENTS)
        self.url = url
        self.replies: list[Reply] = []
        self.pause_seconds = 0.01

    def work(self, number: int) -> None:
        while not self.stop.is_set():
            self.replies += [post_event(self.url), get_report(self.url)]
            time.sleep(self.pause_seconds)

    def check(self) -> None:
        assert {reply.status for reply in self.replies} == {200, 201, 503}
        assert all(reply.retry_after == "1" for reply in self.replies if reply.status == 503)
        assert max(reply.seconds for reply in self.replies) < 2.5


def wait_until_stored(url: str, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while post_event(url).status != 201:
        assert time.monotonic() < deadline, "no recovery"
        time.sleep(0.1)


@pytest.mark.alone
def test_a_stopped_node_is_a_503_and_its_return_is_noticed(served: Node) -> None:
    with Load(served.web.url) as load:
        time.sleep(1)
        served.node.process().kill()
        time.sleep(4)
        load.pause_seconds = 0.1  # refusals cost the clients nothing, and the node needs the processors to start
        served.node.start()
        served.node.wait_until_ready(seconds=READY_SECONDS)
        load.pause_seconds = 0.01
        wait_until_stored(served.web.url, seconds=10)
    load.check()


@pytest.mark.alone
def test_a_paused_node_is_a_503_and_its_return_is_noticed(served: Node) -> None:
    with Load(served.web.url) as load:
        time.sleep(1)
        served.node.process().send_signal(signal.SIGSTOP)
        time.sleep(8)
        served.node.process().send_signal(signal.SIGCONT)
        wait_until_stored(served.web.url, seconds=10)
    load.check()


@pytest.mark.alone
@pytest.mark.parametrize(("fails", "works", "status"), [(get_report, post_event, 201), (post_event, get_report, 200)])
def test_reads_and_writes_fail_each_for_themselves(
    node: CassandraNode,
    web_server: Callable[..., WebServer],
    fails: Callable[[str], Reply],
    works: Callable[[str], Reply],
    status: int,
) -> None:
    """While one kind is left alone, for a second after it was not answered, the other is asked as ever."""
    # Counting in the background would find out that reads fail, too.
    redis = caches["default"].client
    lease = redis.make_key(LEASE, prefix=environment_of_node(node)["CASSANDRA_KEYSPACE"])
    redis.get_client().set(str(lease), uuid.uuid4().hex, ex=60)
    web = web_server(**environment_of_node(node), WEB_WORKERS="1")
    wait_until_stored(web.url, seconds=10)
    node.process().send_signal(signal.SIGSTOP)
    try:
        assert [fails(web.url).status for _ in range(2)] == [503, 503]
    finally:
        node.process().send_signal(signal.SIGCONT)
    assert fails(web.url).status == 503
    assert works(web.url).status == status


class Outage(NamedTuple):
    """What was answered while Cassandra was stopped; it is back."""

    refusals: list[tuple[dict[str, object], dict[str, str]]]  # of a running service: the fast path, the full stack
    late: WebServer  # was started meanwhile
    posted: Reply
    report: tuple[dict[str, object], str]  # and its type
    ready: Reply
    alive: Reply


@pytest.fixture(scope="module")
def outage(node: CassandraNode) -> Iterator[Outage]:
    """One for both tests: a node takes 10 s to come back."""
    with ExitStack() as started:
        running = web_of(node)
        started.callback(running.stop)
        assert [post_event(running.url).status for _ in range(20)] == [201] * 20
        node.stop()
        try:
            refusals = [_refusal(running.url, **headers) for headers in ({}, {"Prefer": "handling=strict"})]
            late = WebServer(**environment_of_node(node))
            started.callback(late.stop)
            posted = post_event(late.url)
            with pytest.raises(urllib.error.HTTPError) as raised:
                urllib.request.urlopen(f"{late.url}/by-player/somebody", timeout=5)
            report = json.load(raised.value), raised.value.headers["Content-Type"]
            ready, alive = (_asked(urllib.request.Request(f"{late.url}/{path}")) for path in ("readyz", "livez"))
        finally:
            node.start()
            node.wait_until_ready(seconds=READY_SECONDS)
        yield Outage(refusals, late, posted, report, ready, alive)


def test_the_service_starts_without_cassandra_and_finds_it_later(outage: Outage) -> None:
    assert outage.posted.status == 503
    assert outage.report == (
        {
            "type": "urn:player-sessions:problem:store-unavailable",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The store does not answer. Nothing was acknowledged; send the same request again.",
        },
        "application/problem+json",
    )
    assert (outage.ready.status, outage.ready.retry_after) == (503, "1")
    assert outage.alive.status == 200
    wait_until_stored(outage.late.url, seconds=10)
    assert _asked(urllib.request.Request(f"{outage.late.url}/readyz")).status == 200


def test_the_fast_path_and_the_full_stack_refuse_alike(outage: Outage) -> None:
    """The fast path, and the full stack, which ``Prefer`` asks for."""
    fast, full = outage.refusals
    assert fast == full
    assert fast[0]["type"] == "urn:player-sessions:problem:store-unavailable"
    assert fast[1]["retry-after"] == "1"


def _refusal(url: str, **headers: str) -> tuple[dict[str, object], dict[str, str]]:
    """The problem, and the headers beside its date."""
    body = json.dumps([{"event": "end", "player_id": "somebody"}]).encode()
    headers = {"Content-Type": "application/json", "X-Request-ID": "mine", **headers}
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/events/", body, headers), timeout=5)
    assert raised.value.code == 503
    headers_of_refusal = {name.lower(): value for name, value in raised.value.headers.items()}
    del headers_of_refusal["date"]
    return json.load(raised.value), headers_of_refusal


def test_missing_tables_are_named(node: CassandraNode, web_server: Callable[..., WebServer]) -> None:
    web = web_server(CASSANDRA_PORT=str(node.port), CASSANDRA_KEYSPACE="nowhere", WEB_WORKERS="1")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{web.url}/readyz", timeout=5)
    assert raised.value.code == 503
    assert "run 'manage.py sync_cassandra'" in json.load(raised.value)["checks"]["cassandra"]
    reply = post_event(web.url)
    assert (reply.status, reply.retry_after) == (500, None)  # sending it again is in vain
