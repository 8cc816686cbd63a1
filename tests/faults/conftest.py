"""A ring of three and a node with a Redis of their own, and services before them; promises and their figures."""

import inspect
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import PROJECT, WebServer, free_port, manage
from embedded.cassandra import CassandraNode, free_cassandra_port, ring, start_ring
from embedded.redis import READY_SECONDS as REDIS_READY_SECONDS
from embedded.redis import RedisServer
from tests.faults import promises
from tests.faults.ledger import Ledger

KEYSPACE = "player_sessions"
_rows = pytest.StashKey[dict[str, str]]()


class Service(NamedTuple):
    """Two web workers as shipped, the nodes and the Redis behind them."""

    web: WebServer
    nodes: list[CassandraNode]
    redis: RedisServer


@pytest.fixture(scope="session", autouse=True)
def store() -> None:
    """Instead of the other tests' store: these have stores of their own, to be broken."""


@pytest.fixture(scope="session")
def long_form() -> bool:
    """FAULTS=long: more rounds and longer faults."""
    return os.environ.get("FAULTS") == "long"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(folder=tmp_path_factory.mktemp("redis"), port=free_port())
    server.start()
    server.wait_until_ready(seconds=REDIS_READY_SECONDS)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ring_of_three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[CassandraNode]]:
    """Three nodes with the tables, three copies of each row."""
    nodes = ring(folder=tmp_path_factory.mktemp("ring"), nodes=3, port=free_cassandra_port())
    yield from _started(nodes)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CassandraNode]:
    """One node with the tables."""
    for (one,) in _started(ring(folder=tmp_path_factory.mktemp("node"), port=free_cassandra_port())):
        yield one


def _started(nodes: list[CassandraNode]) -> Iterator[list[CassandraNode]]:
    try:
        start_ring(nodes)
        synced = manage("sync_cassandra", env={**os.environ, **environment_of(nodes)})
        assert synced.returncode == 0, synced.stderr
        yield nodes
    finally:
        for one in nodes:
            one.stop()


def in_own_keyspace(environment: dict[str, str]) -> dict[str, str]:
    """These settings with a keyspace that nobody has counted by another clock."""
    environment = {**environment, "CASSANDRA_KEYSPACE": f"apart_{uuid.uuid4().hex[:8]}"}
    synced = manage("sync_cassandra", env={**os.environ, **environment})
    assert synced.returncode == 0, synced.stderr
    return environment


def environment_of(nodes: list[CassandraNode]) -> dict[str, str]:
    """The settings of a service that uses these nodes."""
    return {
        "CASSANDRA_HOSTS": ",".join(node.address[0] for node in nodes),
        "CASSANDRA_PORT": str(nodes[0].port),
        "CASSANDRA_KEYSPACE": KEYSPACE,
        "CASSANDRA_REPLICATION": f"datacenter1={len(nodes)}",
        "DJANGO_SETTINGS_MODULE": "sessions_project.settings",
        "REPORT_CACHE_SECONDS": "50",
    }


@pytest.fixture(scope="session")
def ring_service(ring_of_three: list[CassandraNode], redis_server: RedisServer) -> Iterator[Service]:
    """Before the ring."""
    yield from _serving(ring_of_three, redis_server)


@pytest.fixture(scope="session")
def node_service(node: CassandraNode, redis_server: RedisServer) -> Iterator[Service]:
    """Before the one node."""
    yield from _serving([node], redis_server)


def _serving(nodes: list[CassandraNode], redis_server: RedisServer) -> Iterator[Service]:
    web = WebServer(**environment_of(nodes), **redis_environment(redis_server.address[1]), WEB_WORKERS="2")
    yield Service(web, nodes, redis_server)
    web.stop()


def redis_environment(port: int) -> dict[str, str]:
    return {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    one = Ledger(tmp_path)
    yield one
    one.close()


@pytest.fixture
def figure(request: pytest.FixtureRequest, long_form: bool) -> Callable[[str], None]:
    """Tells what was measured: the last column of this test's row in docs/reliability.md."""

    def tell(measured: str) -> None:
        print(f"\n{request.node.name}: {measured}")
        rows = request.config.stash.setdefault(_rows, {})
        rows[request.node.name] = promises.row(
            test=request.node.name,
            docstring=inspect.getdoc(request.function) or "",
            figure=measured,
            form="long" if long_form else "short",
        )

    return tell


def pytest_sessionfinish(session: pytest.Session) -> None:
    """WRITE_RELIABILITY=1: the figures of this run go to the page."""
    rows = session.config.stash.get(_rows, {})
    if rows and os.environ.get("WRITE_RELIABILITY"):
        promises.write_table(PROJECT / "docs" / "reliability.md", rows)
