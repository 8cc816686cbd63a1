"""Fixtures of every test: a real Cassandra and Redis, fresh players and countries instead of emptied tables."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest
from cassandra.cqlengine import management
from django.conf import settings
from django.core.management import call_command
from rest_framework.test import APIClient

from embedded.cassandra import STORAGE_PORT_BELOW_CQL
from embedded.process import port_is_taken
from embedded.redis import READY_SECONDS, RedisServer
from events.counting import hours
from events.importing.generator import COUNTRIES
from store import cassandra
from store.errors import StoreUnavailable

PROJECT = Path(__file__).parent
# The examples of the documents have starts in these, and no other test has.
COUNTRIES_OF_DOCUMENTS = ("AQ", "TF")
_countries = (
    first + second
    for first, second in product(ascii_uppercase, ascii_uppercase)
    if first + second not in {*COUNTRIES, *COUNTRIES_OF_DOCUMENTS}
)


@pytest.fixture(scope="session", autouse=True)
def store() -> Iterator[None]:
    """The tables, empty, in the tests' own keyspace."""
    assert settings.CASSANDRA_KEYSPACE.endswith("_test")
    try:
        cassandra.connect()
    except StoreUnavailable:
        pytest.exit(f"No Cassandra at {settings.CASSANDRA_HOSTS}. Run 'make test', or 'make up' before pytest.", 1)
    drop_keyspace(settings.CASSANDRA_KEYSPACE)
    cassandra.disconnect()
    call_command("sync_cassandra", verbosity=0, stdout=StringIO())
    yield
    cassandra.disconnect()


def drop_keyspace(name: str) -> None:
    """Through cqlengine, which waits 30 s: on a busy machine it takes longer than a request may."""
    os.environ["CQLENG_ALLOW_SCHEMA_MANAGEMENT"] = "1"
    management.drop_keyspace(name)


@pytest.fixture(autouse=True)
def _nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report counts all late starts: what other tests have written must not keep it from those of its own."""
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
def now_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_cassandra_port() -> int:
    """A CQL port whose storage port is free as well.

    Below the ports that the system gives to outgoing connections: one of those could take it while the node is down.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        if not any(port_is_taken(("127.0.0.1", one)) for one in (port, port - STORAGE_PORT_BELOW_CQL)):
            return port


def manage(*arguments: str, stdin: bytes | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` as a process of its own, as its users do."""
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    told = subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False, **options)
    return subprocess.CompletedProcess(command, told.returncode, told.stdout.decode(), told.stderr.decode())


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
                env={**inherited, "PORT": str(port), **environment},
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
        deadline = time.monotonic() + 30
        while not self._alive():
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.1)

    def _alive(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/livez", timeout=1).status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """As an operator would."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may break."""
    server = RedisServer(folder=tmp_path, port=free_port())
    server.start()
    server.wait_until_ready(seconds=READY_SECONDS)
    yield server
    server.stop()


@pytest.fixture
def web_server() -> Iterator[Callable[..., WebServer]]:
    """Starts services with other settings; ends them after the test."""
    started: list[WebServer] = []

    def start(**options: Any) -> WebServer:
        started.append(WebServer(**options))
        return started[-1]

    yield start
    for server in started:
        server.stop()
