"""A release and the one before it serve one store at the same time, whichever of them came first."""

import io
import os
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import PROJECT, WebServer
from embedded.cassandra import CassandraNode
from embedded.redis import RedisServer
from tests.faults.conftest import environment_of, redis_environment
from tests.faults.ledger import Ledger, Load, moment, read_back, walk

FORMER = "v1.0.0"
Figure = Callable[[str], None]


@pytest.fixture(scope="session")
def former_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last release, from the history of this repository."""
    archive = subprocess.run(["git", "archive", FORMER], cwd=PROJECT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"there is no {FORMER} here: {archive.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("former")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def sync(folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "sync_cassandra"]
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True)


@pytest.mark.parametrize("order", ["upgrade", "roll_back"])
def test_two_releases_side_by_side(
    node: CassandraNode, redis_server: RedisServer, former_release: Path, tmp_path: Path, figure: Figure, order: str
) -> None:
    """This release and the one before it run on one store at the same time: no event is lost, and both count alike.

    One serves, the other joins, the first ends, under load of both; both orders, tables of the release that was first.
    """
    releases = [former_release, PROJECT] if order == "upgrade" else [PROJECT, former_release]
    environment = environment_of([node]) | redis_environment(redis_server.address[1])
    environment |= {"CASSANDRA_KEYSPACE": f"upgrade_{uuid.uuid4().hex[:8]}", "WEB_WORKERS": "1"}
    sync(releases[0], environment)
    ledgers = [Ledger(tmp_path / name) for name in ("first", "second")]
    with ExitStack() as stack:
        first = WebServer(folder=releases[0], **environment)
        stack.callback(first.stop)
        with Load(first.url, ledgers[0], country="UF", clients=3) as of_first:
            time.sleep(3)
            if order == "upgrade":
                sync(PROJECT, environment)
            second = WebServer(folder=releases[1], **environment)
            stack.callback(second.stop)
            of_second = stack.enter_context(Load(second.url, ledgers[1], country="US", clients=3))
            time.sleep(8)
        counts = [starts(server, "UF") for server in (first, second)]
        first.stop()
        time.sleep(2)
        of_second.__exit__(None, None, None)
        of_first.url = second.url  # also what the first has stored
        loads = [of_first, of_second]
        backs = [read_back(load) for load in loads]
    replies = [reply for load in loads for reply in load.replies]
    failed = [reply for load in loads for reply in load.failed()]
    for ledger in ledgers:
        ledger.close()
    assert all(back.exact() and back.acknowledged > 200 for back in backs), backs
    assert counts[0] == counts[1] == len([one for one in ledgers[0].events() if one["event"] == "start"])
    assert failed == []
    lost = ", ".join(back.summary() for back in backs)
    figure(f"{lost}; {len(replies):,} requests, none failed; both count {counts[0]:,} starts")


def starts(server: WebServer, country: str) -> int:
    """How many a server counts, of all of its load."""
    address = f"{server.url}/api/v1/reports/starts/{country}/?hours=2&as_of={moment()}&limit=1000"
    return walk(address)[0]
