"""manage.py import_sessions while Cassandra is unavailable: it waits, can be stopped, and loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import PROJECT, environment_of_node, manage
from embedded.cassandra import READY_SECONDS, CassandraNode

pytestmark = pytest.mark.own_node

# Several seconds of two imports at once on a node of two cores.
EVENTS = 60_000
DUMP = "dump.jsonl"


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up one of EVENTS."""
    folder = tmp_path_factory.mktemp("dump")
    generated = manage("generate_sessions", "--events", str(EVENTS), "--output", DUMP, cwd=folder)
    assert generated.returncode == 0, generated.stderr
    return folder / DUMP


class Importing:
    """An import of the dump in a folder of its own; ends with the stack."""

    def __init__(self, stack: ExitStack, environment: dict[str, str], dump: Path, folder: Path) -> None:
        self._stack = stack
        self._environment = environment
        self._folder = folder
        (folder / DUMP).symlink_to(dump)
        self.process = self._import()

    def wait_until_both_workers_write(self) -> None:
        while self._line() <= 6_000:
            assert self.process.poll() is None
            time.sleep(0.02)

    def wait_until_it_waits(self) -> None:
        assert any("Waiting for Cassandra" in line for line in self.process.stderr)

    def resume(self) -> None:
        self.process = self._import("--resume")

    def _line(self) -> int:
        checkpoint = self._folder / f"{DUMP}.checkpoint"
        text = checkpoint.read_text() if checkpoint.exists() else ""  # it is empty until the workers can write
        return int(json.loads(text)["line"]) if text else 0

    def _import(self, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "manage.py"), "import_sessions", DUMP, "--json", *options],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process


class Outage(NamedTuple):
    """What an import that waited is doing, and one that was stopped meanwhile; Cassandra is back."""

    waiting: Importing
    stopped: Importing
    log_of_stopped: str


@pytest.fixture(scope="module")
def outage(node: CassandraNode, dump: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    """One for both tests: a node takes a quarter of a minute to come back."""
    environment = {**os.environ, **environment_of_node(node)}
    with ExitStack() as stack:
        waiting, stopped = (Importing(stack, environment, dump, tmp_path_factory.mktemp(name)) for name in "ab")
        for one in (waiting, stopped):
            one.wait_until_both_workers_write()
        node.process().kill()
        try:
            for one in (waiting, stopped):
                one.wait_until_it_waits()
            stopped.process.send_signal(signal.SIGTERM)
            _, log = stopped.process.communicate(timeout=30)
        finally:
            node.start()
            node.wait_until_ready(seconds=READY_SECONDS)
        yield Outage(waiting, stopped, log)


def test_an_import_waits_for_cassandra_and_goes_on(outage: Outage) -> None:
    running = outage.waiting.process
    printed, log = running.communicate(timeout=120)
    summary = json.loads(printed)
    assert (running.returncode, summary["stored"], summary["rejected"]) == (0, EVENTS, 0)
    assert "Cassandra is back." in log


def test_an_import_that_waits_for_cassandra_can_be_stopped_and_resumed(outage: Outage) -> None:
    assert outage.stopped.process.returncode == 143
    assert "--resume" in outage.log_of_stopped
    outage.stopped.resume()
    printed, _ = outage.stopped.process.communicate(timeout=120)
    assert json.loads(printed)["stored"] == EVENTS
