"""The mix of ``make load`` on a store of the demo's size, kept in RESULTS.md with the percentiles of each address."""

import csv
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.programs import OURS_SHIPPED, PROJECT, environment_with, started
from benchmarks.store import opened_store
from events.management.commands.demo import DAYS, EVENTS

KEYSPACE = "bench_load"
COLUMNS = ("Request Count", "50%", "90%", "99%")


def measure_load(*, users: int, seconds: int) -> tuple[list[list[str]], bool]:
    """For each address: its name, requests, p50, p90 and p99 in ms; and whether the promise is kept."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(opened_store())
        stack.callback(store.drop, KEYSPACE)
        store.create(KEYSPACE)
        import_demo(folder)
        service = stack.enter_context(started(OURS_SHIPPED, keyspace=KEYSPACE))
        kept = run_locust(service.url, folder, users=users, seconds=seconds)
        with open(folder / "load_stats.csv", newline="") as rows:
            lines = [[row["Name"], *(row[column] for column in COLUMNS)] for row in csv.DictReader(rows)]
        return [line for line in lines if line[0] != "Aggregated"], kept


def import_demo(folder: Path) -> None:
    """Import what ``make demo`` imports."""
    manage = [sys.executable, str(PROJECT / "manage.py")]
    environment = environment_with(CASSANDRA_KEYSPACE=KEYSPACE)
    for command in (
        ["generate_sessions", "--events", str(EVENTS), "--days", str(DAYS), "--output", "demo.jsonl"],
        ["import_sessions", "demo.jsonl", "--json"],
    ):
        subprocess.run([*manage, *command], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def run_locust(url: str, folder: Path, *, users: int, seconds: int) -> bool:
    """``make load`` with its rows as CSV; whether it ended well."""
    environment = environment_with(PORT=str(urlsplit(url).port), LOAD_USERS=str(users), LOAD_SECONDS=str(seconds))
    command = [sys.executable, "-m", "locustfiles", "--csv", str(folder / "load")]
    return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode == 0
