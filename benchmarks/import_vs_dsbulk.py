"""``python -m benchmarks.import_vs_dsbulk``: our import of all tables against dsbulk's load of one, in turn.

Both read the same dump into the Cassandra of CASSANDRA_HOSTS (``make up``), each run into a keyspace of its own that is
dropped afterwards. dsbulk fills the plain log ``(player_id, ts, country, event, session_id)``; it runs once in its
default batch mode and once by replica set in each round, and the better counts. Prints each run, and with ``--record``
puts all into RESULTS.md.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread

import psutil

from benchmarks.markdown import table
from benchmarks.programs import PROJECT, Listener, cpu_of_children, environment_with
from benchmarks.results import here_and_now, write_section
from benchmarks.store import Store, cassandra_port, opened_store
from embedded.jars import class_path
from embedded.java import java_executable

HOST = (os.environ.get("CASSANDRA_HOSTS") or "127.0.0.1").split(",")[0]
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


TITLES = ["run", "seconds", "CPU s of its processes", "CPU s of Cassandra", "peak MB of its processes", "rows"]


@dataclass(slots=True)
class Run:
    """One measured load. What it costs Cassandra is known of one on this machine, else 0."""

    name: str
    seconds: float
    cpu_seconds: float
    cassandra_seconds: float
    peak_mb: float
    rows: int = 0

    def line(self) -> list[str]:
        """Of the table."""
        numbers = (self.seconds, self.cpu_seconds, self.cassandra_seconds, self.peak_mb)
        return [self.name, *(f"{number:.1f}" for number in numbers), f"{self.rows:,}"]


def main() -> None:
    """Measure and print a table in Markdown."""
    arguments = parser().parse_args()
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as name, opened_store() as store:
        folder = Path(name)
        dump = arguments.dump or generated(folder / "dump.jsonl.bz2", events=arguments.events)
        for _ in range(arguments.pairs):
            runs.append(ours(store, dump, folder, workers=arguments.workers))
            runs += [dsbulk(store, dump, folder, mode=mode) for mode in ("PARTITION_KEY", "REPLICA_SET")]
            for run in runs[-3:]:
                print(*run.line(), sep=" | ", file=sys.stderr, flush=True)
    sections = [table(TITLES, [run.line() for run in runs]), conclusion(runs)]
    print(*sections, sep="\n\n")
    if arguments.record:
        command = f"python -m benchmarks.import_vs_dsbulk {shlex.join(sys.argv[1:])}".strip()
        write_section("import beside dsbulk", f"`{command}` {here_and_now()}", *sections)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks.import_vs_dsbulk", description=__doc__)
    whole.add_argument("--events", type=int, default=1_000_000, help="size of the dump (1,000,000)")
    whole.add_argument("--pairs", type=int, default=3, help="rounds (3)")
    whole.add_argument("--workers", type=int, default=2, help="of our import (2)")
    whole.add_argument("--dump", type=Path, help="this file instead of a generated one")
    whole.add_argument("--record", action="store_true", help="put the rows into benchmarks/RESULTS.md")
    return whole


def generated(path: Path, *, events: int) -> Path:
    """A dump of that many made-up events of the last 30 days."""
    command = [sys.executable, "manage.py", "generate_sessions", "--events", str(events), "--days", "30"]
    subprocess.run([*command, "--output", str(path)], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return path


def ours(store: Store, dump: Path, folder: Path, *, workers: int) -> Run:
    """``manage.py import_sessions`` as its users run it, into all tables."""
    keyspace = "bench_import_ours"
    store.create(keyspace)
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", str(dump), "--workers", str(workers)]
    run = measured("import_sessions, all tables", command, folder, CASSANDRA_KEYSPACE=keyspace)
    run.rows = store.sessions_in(keyspace)
    store.drop(keyspace)
    return run


def dsbulk(store: Store, dump: Path, folder: Path, *, mode: str) -> Run:
    """``dsbulk load`` into the plain log."""
    jars = class_path(COORDINATES, remembered_in=PROJECT / ".data" / "dsbulk.classpath")
    keyspace = "bench_import_dsbulk"
    store.create(keyspace)
    store.execute(LOG_TABLE.format(keyspace=keyspace))
    command = [str(java_executable()), "-cp", ":".join(map(str, jars))]
    command += ["com.datastax.oss.dsbulk.runner.DataStaxBulkLoader", "load", "-c", "json", "-url", str(dump)]
    command += ["-h", HOST, "-port", str(cassandra_port()), "-k", keyspace, "-t", "player_log"]
    command += ["-logDir", str(folder / "logs"), "--log.checkpoint.enabled", "false", "--batch.mode", mode]
    command += ["--connector.json.compression", "bzip2", "--schema.allowMissingFields", "true"]
    run = measured(f"dsbulk, one table, {mode}", command, folder)
    run.rows = store.rows_in(keyspace, "player_log")
    store.drop(keyspace)
    return run


def measured(name: str, command: Sequence[str], folder: Path, **variables: str) -> Run:
    """The load of a command, without its rows."""
    cassandra = Listener(cassandra_port())
    began, ours_before, cassandra_before = time.monotonic(), cpu_of_children(), cassandra.cpu_seconds()
    with (
        subprocess.Popen(
            command, cwd=folder, env=environment_with(**variables), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process,
        peak_of(process.pid) as peak,
    ):
        _, log = process.communicate()
        seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{log.decode()[-2000:]}")
    return Run(
        name,
        seconds,
        cpu_of_children() - ours_before,
        cassandra.cpu_seconds() - cassandra_before,
        peak[0],
    )


@contextmanager
def peak_of(pid: int) -> Iterator[list[float]]:
    """The largest sum of the resident memory of a process and its children meanwhile, in MB: a list of one."""
    peak, ended = [0.0], Event()
    watcher = Thread(target=watch_memory, args=(pid, peak, ended))
    watcher.start()
    yield peak
    ended.set()
    watcher.join()


def watch_memory(pid: int, peak: list[float], ended: Event) -> None:
    """Note the largest sum over the process and its children."""
    while not ended.wait(MEMORY_SAMPLE_SECONDS):
        try:
            parent = psutil.Process(pid)
            together = sum(one.memory_info().rss for one in [parent, *parent.children(recursive=True)])
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], together / 1e6)


def conclusion(runs: Sequence[Run]) -> str:
    """The ratio of each round and their median, and what Cassandra alone takes for ours."""
    rounds = [runs[first : first + 3] for first in range(0, len(runs), 3)]
    ratios = [own.seconds / min(one.seconds, other.seconds) for own, one, other in rounds]
    own_cassandra = median(own.cassandra_seconds for own, *_ in rounds)
    goal = median(min(one.seconds, other.seconds) for _, one, other in rounds) / 2
    cores = psutil.cpu_count() or 1
    return (
        f"Ours / the better dsbulk, by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}; median "
        f"{median(ratios):.2f}. Our peak memory: {max(own.peak_mb for own, *_ in rounds):.0f} MB. Half of dsbulk's "
        f"time would be {goal:.1f} s, or {goal * cores:.1f} s of all processors; Cassandra alone takes "
        f"{own_cassandra:.1f} s of them for ours."
    )


if __name__ == "__main__":
    main()
