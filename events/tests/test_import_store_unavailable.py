"""manage.py import_sessions while Cassandra is unavailable: it waits, can be stopped, and loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PROJECT, environment_of_node, manage
from embedded.cassandra import READY_SECONDS, CassandraNode

pytestmark = pytest.mark.own_node

EVENTS = 100_000
DUMP = "dump.jsonl"


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up one of EVENTS."""
    folder = tmp_path_factory.mktemp("dump")
    generated = manage("generate_sessions", "--events", str(EVENTS), "--output", DUMP, cwd=folder)
    assert generated.returncode == 0, generated.stderr
    return folder / DUMP


class Importing:
    """Imports of the dump in a folder of their own."""

    def __init__(self, start_process: Callable[..., subprocess.Popen[str]], environment: dict[str, str], folder: Path):
        self._start_process = start_process
        self._environment = environment
        self._folder = folder

    def start(self) -> subprocess.Popen[str]:
        """Returns when both workers write."""
        running = self._import()
        begun = self._line()
        while self._line() <= begun + 6_000:
            assert running.poll() is None
            time.sleep(0.02)
        return running

    def resume(self) -> subprocess.Popen[str]:
        return self._import("--resume")

    def _line(self) -> int:
        checkpoint = self._folder / f"{DUMP}.checkpoint"
        text = checkpoint.read_text() if checkpoint.exists() else ""  # it is empty until the workers can write
        return int(json.loads(text)["line"]) if text else 0

    def _import(self, *options: str) -> subprocess.Popen[str]:
        return self._start_process(
            [sys.executable, str(PROJECT / "manage.py"), "import_sessions", DUMP, "--json", *options],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def importing(
    node: CassandraNode, dump: Path, tmp_path: Path, start_process: Callable[..., subprocess.Popen[str]]
) -> Importing:
    (tmp_path / DUMP).symlink_to(dump)
    return Importing(start_process, {**os.environ, **environment_of_node(node)}, tmp_path)


def test_an_import_waits_for_cassandra_and_goes_on(node: CassandraNode, importing: Importing) -> None:
    running = importing.start()
    node.process().kill()
    try:
        assert any("Waiting for Cassandra" in line for line in running.stderr)
    finally:
        node.start()
        node.wait_until_ready(seconds=READY_SECONDS)
    printed, log = running.communicate(timeout=120)
    summary = json.loads(printed)
    assert (running.returncode, summary["stored"], summary["rejected"]) == (0, EVENTS, 0)
    assert "Cassandra is back." in log


def test_an_import_that_waits_for_cassandra_can_be_stopped_and_resumed(
    node: CassandraNode, importing: Importing
) -> None:
    running = importing.start()
    node.process().kill()
    try:
        assert any("Waiting for Cassandra" in line for line in running.stderr)
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=30)
        assert running.returncode == 143
        assert "--resume" in log
    finally:
        node.start()
        node.wait_until_ready(seconds=READY_SECONDS)
    printed, _ = importing.resume().communicate(timeout=120)
    assert json.loads(printed)["stored"] == EVENTS
