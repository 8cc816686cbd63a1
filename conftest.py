"""Fixtures of every test: a real Cassandra and Redis, fresh players and countries instead of emptied tables."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from io import StringIO
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import hypothesis
import pytest
from cassandra.cqlengine import management
from django.conf import settings
from django.core.management import call_command
from rest_framework.test import APIClient

from embedded.cassandra import READY_SECONDS, CassandraNode, free_cassandra_port
from embedded.redis import READY_SECONDS as REDIS_READY_SECONDS
from embedded.redis import RedisServer
from events.counting import hours
from events.importing.generator import COUNTRIES
from store import cassandra
from store.errors import StoreUnavailable

PROJECT = Path(__file__).parent
# The examples of the documents have starts in these, and no other test has.
COUNTRIES_OF_DOCUMENTS = ("AQ", "TF")
# How long examples take to make says nothing of what is tested, and on a busy machine it is long.
hypothesis.settings.register_profile("any machine", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")
_countries = (
    first + second
    for first, second in product(ascii_uppercase, ascii_uppercase)
    if first + second not in {*COUNTRIES, *COUNTRIES_OF_DOCUMENTS}
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start a Cassandra come first: while a node starts, the others of ``make test`` have work left.

    Then the long ones, so that in the end all processes have something to do. Who breaks a Redis measures that it
    costs a moment: such a test runs alone.
    """
    with_node, long = ({item.path for item in items if item.get_closest_marker(name)} for name in ("own_node", "long"))
    items.sort(key=lambda item: 0 if item.path in with_node else 1 if item.path in long else 2)
    for item in items:
        if "own_redis" in getattr(item, "fixturenames", ()):
            item.add_marker("alone")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes make no name of a test: gzip puts the time into them, and all processes must give the same names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def store() -> Iterator[None]:
    """The tables, empty, in the tests' own keyspace."""
    assert settings.CASSANDRA_KEYSPACE.endswith("_test")
    _connect()
    drop_keyspace(settings.CASSANDRA_KEYSPACE)
    cassandra.disconnect()
    call_command("sync_cassandra", verbosity=0, wait=60, stdout=StringIO())
    yield
    cassandra.disconnect()


def _connect() -> None:
    """In a few tries: all processes of ``make test`` do so at once, and a try waits for a second."""
    for _ in range(5):
        try:
            return cassandra.connect()
        except StoreUnavailable:
            time.sleep(cassandra.CONNECT_PAUSE_SECONDS)
    pytest.exit(f"No Cassandra at {settings.CASSANDRA_HOSTS}. Run 'make test', or 'make up' before pytest.", 1)


def drop_keyspace(name: str) -> None:
    """Through cqlengine, which waits 30 s: on a busy machine it takes longer than a request may."""
    os.environ["CQLENG_ALLOW_SCHEMA_MANAGEMENT"] = "1"
    management.drop_keyspace(name)


@pytest.fixture(autouse=True)
def _nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report counts all late starts: what other tests have written must not hide those of its own."""
    monkeypatch.setattr(hours, "MOST_CELLS", 1_000_000)


@pytest.fixture
def api() -> APIClient:
    """A client of this process's API."""
    return APIClient()


@pytest.fixture
def player() -> str:
    """A player whom no other test knows."""
    return f"player_{uuid.uuid4().hex}"


@pytest.fixture
def country() -> str:
    """A country that no other test uses."""
    return next(_countries)


@pytest.fixture(scope="session")
def new_country() -> Callable[[], str]:
    """More such countries."""
    return lambda: next(_countries)


@pytest.fixture
def each_look_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """``/readyz`` finds at once what a test has changed."""
    monkeypatch.setattr("sessions_project.health.SECONDS_BETWEEN_LOOKS", 0.0)


@pytest.fixture
def now_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def manage(
    *arguments: str, stdin: bytes | None = None, timeout: float = 120, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` as a process of its own, as its users do."""
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    ended = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False, **options)
    return subprocess.CompletedProcess(command, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class QuickNode(CassandraNode):
    """One for tests: it starts in half the time, and would be slower after some minutes of work."""

    def command(self, java: Path, jars: Sequence[Path]) -> list[str | Path]:
        """As one of a ring: with the quick compiler alone. There is nobody to gossip with."""
        java, *rest = super().command(java, jars)
        return [java, "-XX:TieredStopAtLevel=1", "-Dcassandra.skip_wait_for_gossip_to_settle=0", *rest]

    def kill(self) -> None:
        """When its tests are over: an orderly end takes 3 s, for the sake of data and of other nodes."""
        if process := self.process():
            process.kill()
        if self._child:
            self._child.wait()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CassandraNode]:
    """A Cassandra with the tables, which a test may stop and starts again."""
    own = QuickNode(folder=tmp_path_factory.mktemp("node"), port=free_cassandra_port())
    try:
        own.start()
        own.wait_until_ready(seconds=READY_SECONDS)
        synced = manage("sync_cassandra", "--wait", "60", env={**os.environ, **environment_of_node(own)})
        assert synced.returncode == 0, synced.stderr
        yield own
    finally:
        own.kill()


def environment_of_node(node: CassandraNode) -> dict[str, str]:
    """The settings of a process that uses the node."""
    return {
        "CASSANDRA_PORT": str(node.port),
        "CASSANDRA_KEYSPACE": "player_sessions",
        "DJANGO_SETTINGS_MODULE": "sessions_project.settings",
    }


class WebServer:
    """The service as it is shipped, on a port of its own; its log goes to the file ``log``, if any.

    Of this project with this Python, unless another ``folder`` and ``python`` are named.
    """

    def __init__(
        self,
        *,
        log: Path = Path(os.devnull),
        folder: Path = PROJECT,
        python: Path = Path(sys.executable),
        **environment: str,
    ) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        # Not the tests' settings, and nothing that its users would not have set.
        inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [python, "-m", "sessions_project"],
                env={**inherited, "PORT": str(port), "METRICS_PORT": "0", **environment},
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
        try:
            self._wait_until_alive()
        except BaseException:
            self.stop()
            raise

    def _wait_until_alive(self) -> None:
        deadline = time.monotonic() + 30
        while not self._alive():
            assert self.process.poll() is None, "the service ended"
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.1)

    def _alive(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/livez", timeout=1).status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """As an operator would; one that does not end in time is killed, and fails the test."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may break: it measures what that costs, so it runs alone."""
    yield from _redis_server(tmp_path)


@pytest.fixture
def unmeasured_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may break; how long anything takes is not asked, so others may run beside it."""
    yield from _redis_server(tmp_path)


@pytest.fixture(scope="module")
def redis_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that tests look into and leave as it is."""
    yield from _redis_server(tmp_path_factory.mktemp("redis"))


def _redis_server(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder=folder, port=free_port())
    try:
        server.start()
        server.wait_until_ready(seconds=REDIS_READY_SECONDS)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool", otherwise="no promtool here: apt-get install prometheus")


def program(name: str, *, otherwise: str) -> str:
    """Return where a program is; skip the test where it is not, and say why."""
    found = shutil.which(name)
    if not found:
        pytest.skip(otherwise)
    return found


@pytest.fixture(scope="session")
def shared_web() -> Iterator[WebServer]:
    """One with the tests' settings, which caches nothing, for all tests that only ask it; a start takes 2 s of CPU."""
    server = WebServer(REPORT_CACHE_SECONDS="0", WEB_WORKERS="1")
    yield server
    server.stop()


@pytest.fixture
def web_server() -> Iterator[Callable[..., WebServer]]:
    """Starts services with other settings; ends them after the test."""
    with ExitStack() as started:

        def start(**options: Any) -> WebServer:
            server = WebServer(**options)
            started.callback(server.stop)
            return server

        yield start


@pytest.fixture
def start_process() -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """Starts processes; ends those that still run after the test.

    Those of a test that failed would otherwise go on beside the next one, which they would slow down and, by the
    warnings of what they leave open, fail.
    """
    with ExitStack() as started:

        def start(command: list[str], **options: Any) -> subprocess.Popen[Any]:
            process = started.enter_context(subprocess.Popen(command, **options))
            started.callback(process.kill)
            return process

        yield start
