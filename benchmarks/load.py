"""The mix of ``make load`` on a store of the demo's size, kept in RESULTS.md with the percentiles of each address.

On its own, and while a dump is being imported into the same store at full speed.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.programs import OURS_SHIPPED, PROJECT, environment_with, started
from benchmarks.store import opened_store
from events.management.commands.demo import DAYS, EVENTS

KEYSPACE = "bench_load"
# More than can be imported during the load.
IMPORTED = 4_000_000
COLUMNS = ("Request Count", "50%", "90%", "99%")


def measure_load(*, users: int, seconds: int, importing: bool = False) -> tuple[list[list[str]], bool]:
    """For each address, and for all: its name, requests, p50, p90 and p99 in ms; and whether the promise is kept.

    Raises RuntimeError when the import has ended before the load.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(opened_store())
        stack.callback(store.drop, KEYSPACE)
        store.create(KEYSPACE)
        import_demo(folder)
        service = stack.enter_context(started(OURS_SHIPPED, keyspace=KEYSPACE))
        with import_under_way(folder) if importing else nullcontext():
            kept = run_locust(service.url, folder, users=users, seconds=seconds)
        with open(folder / "load_stats.csv", newline="") as rows:
            lines = [[row["Name"], *(row[column] for column in COLUMNS)] for row in csv.DictReader(rows)]
        return [["all" if name == "Aggregated" else name, *numbers] for name, *numbers in lines], kept


def import_demo(folder: Path) -> None:
    """Import what ``make demo`` imports."""
    with started_import(folder, events=EVENTS) as process:
        pass
    if process.returncode:
        raise RuntimeError("The import of the demo failed.")


@contextmanager
def import_under_way(folder: Path) -> Iterator[None]:
    """An import that began before, and must go on until the end."""
    with started_import(folder, events=IMPORTED) as process:
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError("The import ended too early; raise IMPORTED.")
        finally:
            process.terminate()


def started_import(folder: Path, *, events: int) -> subprocess.Popen[bytes]:
    """An import of so many made-up events, which has just begun."""
    manage = [sys.executable, str(PROJECT / "manage.py")]
    environment = environment_with(CASSANDRA_KEYSPACE=KEYSPACE)
    generate = [*manage, "generate_sessions", "--events", str(events), "--days", str(DAYS), "--output", "dump.jsonl"]
    subprocess.run(generate, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    command = [*manage, "import_sessions", "dump.jsonl", "--json"]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def run_locust(url: str, folder: Path, *, users: int, seconds: int) -> bool:
    """``make load`` with its rows as CSV; whether it ended well."""
    environment = environment_with(PORT=str(urlsplit(url).port), LOAD_USERS=str(users), LOAD_SECONDS=str(seconds))
    command = [sys.executable, "-m", "locustfiles", "--csv", str(folder / "load")]
    return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode == 0
