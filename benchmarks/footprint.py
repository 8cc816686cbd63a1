"""Start and memory of the service beside a process of the same framework and driver that does next to nothing.

``python -m benchmarks.footprint`` starts each in turn with one worker: seconds from the start of the command to the
first reply that asked the store, and the resident memory of the worker then and after some thousand reports of
players. Wants the stack of ``make up``.
"""

import statistics
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator

from benchmarks.markdown import table
from benchmarks.programs import OURS_SHIPPED, Program, granian, started
from benchmarks.results import here_and_now
from benchmarks.store import opened_store

KEYSPACE = "bench_footprint"
ROUNDS, REPORTS = 5, 3_000
START_SECONDS = 60
PROGRAMS = {
    "/api/v1/reports/players/{}/sessions/": Program(
        "ours",
        OURS_SHIPPED.what,
        OURS_SHIPPED.command,
        environment={"WEB_WORKERS": "1", "METRICS_PORT": "0"},
    ),
    "/players/{}": Program(
        "django", "Django, DRF, the driver", granian("benchmarks.apps.plain_django:application", workers=1)
    ),
}


def main() -> None:
    """Print the medians."""
    with opened_store() as store:
        store.create(KEYSPACE)
        try:
            rows = [*measured()]
        finally:
            store.drop(KEYSPACE)
    print(f"`python -m benchmarks.footprint` {here_and_now()}\n")
    print(table(["program", "s to the first reply", "MB then", f"MB after {REPORTS:,} reports"], rows))


def measured() -> Iterator[list[str]]:
    """Yield the medians of each program, which were started in turn."""
    found: dict[str, list[tuple[float, float, float]]] = {program.name: [] for program in PROGRAMS.values()}
    for _ in range(ROUNDS):
        for path, program in PROGRAMS.items():
            found[program.name].append(footprint(program, path))
            print(program.name, found[program.name][-1], flush=True)
    for name, rounds in found.items():
        seconds, first, later = (statistics.median(one) for one in zip(*rounds, strict=True))
        yield [name, f"{seconds:.2f}", f"{first:.0f}", f"{later:.0f}"]


def footprint(program: Program, path: str) -> tuple[float, float, float]:
    """Return the seconds to the first reply, and the worker's megabytes then and later."""
    began = time.monotonic()
    with started(program, keyspace=KEYSPACE) as running:
        while not answered(running.url + path.format("nobody")):
            if time.monotonic() > began + START_SECONDS:
                raise RuntimeError(f"{program.name} does not answer.")
            time.sleep(0.02)
        seconds, first = time.monotonic() - began, running.megabytes_of_workers()
        for _ in range(REPORTS):
            if not answered(running.url + path.format(uuid.uuid4().hex)):
                raise RuntimeError(f"{program.name} does not answer any more.")
        return seconds, first, running.megabytes_of_workers()


def answered(url: str) -> bool:
    """Return whether the report came."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.read())
    except OSError:
        return False


if __name__ == "__main__":
    main()
