"""The mix of ``make load``, kept in RESULTS.md with the percentiles of each address.

On a store of the demo's size, on its own and while a dump is being imported into it at full speed; and on one with a
million starts a day.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.late_starts import STORES, fill
from benchmarks.programs import OURS_SHIPPED, PROJECT, environment_with, started
from benchmarks.store import opened_store
from events.management.commands.demo import DAYS, EVENTS

KEYSPACE = "bench_load"
# Of benchmarks.late_starts, which keeps it.
DAY, KEYSPACE_OF_A_DAY = "day", "late_day"
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
            return run_locust(service.url, folder, users=users, seconds=seconds)


def measure_load_of_a_day(*, users: int, seconds: int) -> tuple[list[list[str]], bool]:
    """Likewise on a store with a million starts in the last day."""
    with opened_store() as store:
        fill(store, KEYSPACE_OF_A_DAY, STORES[DAY], fresh=False)
    with tempfile.TemporaryDirectory() as folder, started(OURS_SHIPPED, keyspace=KEYSPACE_OF_A_DAY) as service:
        return run_locust(service.url, Path(folder), users=users, seconds=seconds)


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


def run_locust(url: str, folder: Path, *, users: int, seconds: int) -> tuple[list[list[str]], bool]:
    """``make load`` with its rows as CSV: the lines of ``measure_load``, and whether it ended well."""
    environment = environment_with(PORT=str(urlsplit(url).port), LOAD_USERS=str(users), LOAD_SECONDS=str(seconds))
    command = [sys.executable, "-m", "locustfiles", "--csv", str(folder / "load")]
    kept = subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode == 0
    with open(folder / "load_stats.csv", newline="") as rows:
        lines = [[row["Name"], *(row[column] for column in COLUMNS)] for row in csv.DictReader(rows)]
    return [["all" if name == "Aggregated" else name, *numbers] for name, *numbers in lines], kept
