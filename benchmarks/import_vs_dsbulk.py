"""``python -m benchmarks.import_vs_dsbulk``: our import of all tables against dsbulk's load of one, in turn.

Both read the same dump into the Cassandra of CASSANDRA_HOSTS (``make up``), each run into a keyspace of its own that is
dropped afterwards. dsbulk fills the plain log ``(player_id, ts, country, event, session_id)``; it runs once in its
default batch mode and once by replica set in each round, and the better counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import NamedTuple

import psutil
from cassandra.cluster import Cluster, Session

from embedded.jars import class_path
from embedded.java import java_executable

PROJECT = Path(__file__).resolve().parent.parent
HOST = os.environ.get("CASSANDRA_HOSTS", "127.0.0.1").split(",")[0]
PORT = os.environ.get("CASSANDRA_PORT", "9042")
VERSION = "1.10.0"
MODULES = "runner connectors-json workflow-load executor-reactor batcher-reactor codecs-text codecs-jdk"
COORDINATES = "+".join(
    [
        *(f"com.datastax.oss:dsbulk-{module}:{VERSION}" for module in MODULES.split()),
        "ch.qos.logback:logback-classic:1.2.12",
    ]
)
LOG_TABLE = """CREATE TABLE {keyspace}.player_log (
    player_id text, ts timestamp, country text, event text, session_id uuid, PRIMARY KEY (player_id, ts))"""
# Peaks shorter than this are not seen.
MEMORY_SAMPLE_SECONDS = 0.1


class Run(NamedTuple):
    """One measured load."""

    name: str
    seconds: float
    peak_mb: float
    rows: int


def main() -> None:
    """Measure and print a table in Markdown."""
    arguments = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dump = arguments.dump or generated(Path(folder) / "dump.jsonl.bz2", events=arguments.events)
        runs: list[Run] = []
        for number in range(arguments.pairs):
            runs.append(ours(dump, Path(folder), workers=arguments.workers))
            runs += [dsbulk(dump, Path(folder), mode=mode) for mode in ("PARTITION_KEY", "REPLICA_SET")]
            for run in runs[-3:]:
                print(told(run, number + 1), flush=True)
    conclude(runs)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks.import_vs_dsbulk", description=__doc__)
    whole.add_argument("--events", type=int, default=1_000_000, help="size of the dump (1,000,000)")
    whole.add_argument("--pairs", type=int, default=3, help="rounds (3)")
    whole.add_argument("--workers", type=int, default=2, help="of our import (2)")
    whole.add_argument("--dump", type=Path, help="this file instead of a generated one")
    return whole


def generated(path: Path, *, events: int) -> Path:
    """A dump of that many made-up events of the last 30 days."""
    manage("generate_sessions", "--events", str(events), "--days", "30", "--output", str(path), folder=path.parent)
    return path


def ours(dump: Path, folder: Path, *, workers: int) -> Run:
    """``manage.py import_sessions`` as its users run it, into all tables."""
    with keyspace("bench_import_ours") as (session, name):
        manage("sync_cassandra", folder=folder, CASSANDRA_KEYSPACE=name)
        command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", str(dump), "--workers", str(workers)]
        seconds, peak = measured(command, folder, CASSANDRA_KEYSPACE=name)
        return Run("import_sessions, all tables", seconds, peak, count(session, f"{name}.session_by_player_id"))


def dsbulk(dump: Path, folder: Path, *, mode: str) -> Run:
    """``dsbulk load`` into the plain log."""
    jars = class_path(COORDINATES, remembered_in=PROJECT / ".data" / "dsbulk.classpath")
    with keyspace("bench_import_dsbulk") as (session, name):
        session.execute(LOG_TABLE.format(keyspace=name))
        command = [str(java_executable()), "-cp", ":".join(map(str, jars))]
        command += ["com.datastax.oss.dsbulk.runner.DataStaxBulkLoader", "load", "-c", "json", "-url", str(dump)]
        command += ["-h", HOST, "-port", PORT, "-k", name, "-t", "player_log", "-logDir", str(folder / "logs")]
        command += ["--connector.json.compression", "bzip2", "--schema.allowMissingFields", "true"]
        command += ["--log.checkpoint.enabled", "false", "--batch.mode", mode]
        seconds, peak = measured(command, folder)
        return Run(f"dsbulk, one table, {mode}", seconds, peak, count(session, f"{name}.player_log"))


@contextmanager
def keyspace(name: str) -> Iterator[tuple[Session, str]]:
    """An empty keyspace, dropped afterwards."""
    with Cluster([HOST], port=int(PORT)) as cluster:
        session = cluster.connect()
        session.default_timeout = 120
        session.execute(f"DROP KEYSPACE IF EXISTS {name}")
        session.execute(
            f"CREATE KEYSPACE {name} WITH replication = {{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}}"
        )
        try:
            yield session, name
        finally:
            session.execute(f"DROP KEYSPACE {name}")


def count(session: Session, table: str) -> int:
    """The rows of a table, by ranges of tokens: one COUNT over millions of rows would time out."""
    edges = range(-(2**63), 2**63, 2**58)
    query = session.prepare(f"SELECT COUNT(*) FROM {table} WHERE token(player_id) >= ? AND token(player_id) <= ?")
    return sum(session.execute(query, (edge, edge + 2**58 - 1)).one()[0] for edge in edges)


def measured(command: Sequence[str], folder: Path, **environment: str) -> tuple[float, float]:
    """Wall seconds, and the largest sum of the resident memory of all its processes in MB."""
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        peak, ended = [0.0], Event()
        watcher = Thread(target=watch_memory, args=(process.pid, peak, ended))
        watcher.start()
        _, log = process.communicate()
        seconds = time.monotonic() - began
        ended.set()
        watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{log.decode()[-2000:]}")
    return seconds, peak[0]


def watch_memory(pid: int, peak: list[float], ended: Event) -> None:
    """Note the largest sum over the process and its children."""
    while not ended.wait(MEMORY_SAMPLE_SECONDS):
        try:
            parent = psutil.Process(pid)
            together = sum(one.memory_info().rss for one in [parent, *parent.children(recursive=True)])
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], together / 1e6)


def manage(*arguments: str, folder: Path, **environment: str) -> None:
    """Run ``manage.py``."""
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)


def told(run: Run, number: int) -> str:
    return f"| {number} | {run.name} | {run.seconds:.1f} | {run.peak_mb:.0f} | {run.rows:,} |"


def conclude(runs: Sequence[Run]) -> None:
    """Print the ratio of each round and their median."""
    rounds = [runs[first : first + 3] for first in range(0, len(runs), 3)]
    ratios = [own.seconds / min(one.seconds, other.seconds) for own, one, other in rounds]
    print(f"\nOurs / the better dsbulk, by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}; ", end="")
    print(f"median {median(ratios):.2f}. Our peak memory: {max(own.peak_mb for own, *_ in rounds):.0f} MB.")


if __name__ == "__main__":
    main()
