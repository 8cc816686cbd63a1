"""What growing costs: CPU of both sides for an event and a report, with 1, 2 and 4 workers and 1 to 3 nodes.

``python -m benchmarks.growth`` starts each ring on ports of its own, imports the same players with so many workers,
and asks a service of so many web processes as fast as it answers: reports of players, the report of all countries over
a day, neither cached, and batches of ten events. Each node holds a copy of every row.

On a machine with fewer cores than processes time says little: what counts is CPU, and the share of it that is left of
the first row's (``efficiency``: 1.0 when a unit of work costs what it cost with one worker and one node and copy).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.ingest import BATCH, SERVICE_ADDRESS
from benchmarks.markdown import table
from benchmarks.measure import Measurement, new_run
from benchmarks.programs import OURS_UNCACHED, PROJECT, cpu_of_children, cpu_of_nodes, environment_with, started
from benchmarks.reads import PLAYER, REPORT, dump_of_players
from benchmarks.results import here_and_now, write_section
from benchmarks.store import Store, opened_store
from benchmarks.wrk import require_wrk
from embedded.cassandra import CassandraNode, free_cassandra_port, ring, start_ring

KEYSPACE = "bench_growth"
WORKERS, NODES = (1, 2, 4), (1, 2, 3)
WARM_UP_SECONDS, SECONDS = 2, 6
IMPORT, PLAYER_REPORT, COUNTRIES_REPORT, INGEST = (
    "import, an event",
    "a player",
    "all countries, 24 h",
    "ingest, an event",
)
TITLES = ["nodes", "workers", "what", "a second", "our CPU µs", "Cassandra's CPU µs", "of that, a copy", "efficiency"]


class Cost(NamedTuple):
    """What one event or report costs, and how many there are in a second."""

    what: str
    rate: float
    own_us: float
    cassandra_us: float


def main() -> None:
    """Measure every size round after round, and print the medians."""
    arguments = parser().parse_args()
    require_wrk()
    lines: list[list[str]] = []
    first: dict[str, float] = {}
    for nodes in arguments.nodes:
        with tempfile.TemporaryDirectory() as folder, running_ring(Path(folder), nodes) as members:
            for workers, costs in measured(members, arguments.workers, rounds=arguments.rounds).items():
                for cost in costs:
                    share = first.setdefault(cost.what, cpu_of(cost, copies=nodes)) / cpu_of(cost, copies=nodes)
                    lines.append(line(cost, nodes=nodes, workers=workers, share=share))
                    print(*lines[-1], sep=" | ", file=sys.stderr, flush=True)
    print(table(TITLES, lines))
    if arguments.record:
        command = f"python -m benchmarks.growth {' '.join(sys.argv[1:])}".strip()
        write_section("growth", f"`{command}` {here_and_now()} Medians of {arguments.rounds}.", table(TITLES, lines))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    whole.add_argument("--nodes", type=int, nargs="+", default=NODES, help="sizes of the ring (1 2 3)")
    whole.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="web processes, of imports too (1 2 4)")
    whole.add_argument("--rounds", type=int, default=3, help="of all numbers of workers in turn (3)")
    whole.add_argument("--record", action="store_true", help="put the rows into benchmarks/RESULTS.md")
    return whole


@contextmanager
def running_ring(folder: Path, nodes: int) -> Iterator[Sequence[CassandraNode]]:
    """So many nodes while they are needed, each with a copy of every row; what is started here finds them."""
    members = ring(folder=folder, nodes=nodes, port=free_cassandra_port())
    try:
        start_ring(members)
        os.environ["CASSANDRA_HOSTS"] = ",".join(node.address[0] for node in members)
        os.environ["CASSANDRA_PORT"] = str(members[0].port)
        os.environ["CASSANDRA_REPLICATION"] = f"datacenter1={nodes}"
        yield members
    finally:
        for node in members:
            node.stop()


def measured(members: Sequence[CassandraNode], workers: Sequence[int], *, rounds: int) -> dict[int, list[Cost]]:
    """Return the medians of each number of workers, by what was measured; the first round only warms the nodes up."""
    found: dict[int, list[list[Cost]]] = {number: [] for number in workers}
    with opened_store() as store:
        for _ in range(1 + rounds):
            for number, of_it in found.items():
                of_it.append([*costs(store, members, workers=number)])
    return {number: [median(some) for some in zip(*of_it[1:], strict=True)] for number, of_it in found.items()}


def median(some: Sequence[Cost]) -> Cost:
    """Return each number's median."""
    return Cost(some[0].what, *(statistics.median(numbers) for numbers in list(zip(*some, strict=True))[1:]))


def costs(store: Store, members: Sequence[CassandraNode], *, workers: int) -> Iterator[Cost]:
    """Yield what everything costs with so many workers, in a keyspace that is empty at first."""
    store.create(KEYSPACE)
    with tempfile.TemporaryDirectory() as folder:
        dump, paths = Path(folder) / "dump.jsonl", Path(folder) / "paths"
        players = dump_of_players(dump)
        yield of_import(dump, members, workers=workers)
        service = replace(OURS_UNCACHED, environment={**OURS_UNCACHED.environment, "WEB_WORKERS": str(workers)})
        with started(service, keyspace=KEYSPACE) as running:
            for what, asked in ((PLAYER_REPORT, map(PLAYER.format, players)), (COUNTRIES_REPORT, [REPORT])):
                paths.write_text("".join(f"{path}\n" for path in asked))
                yield of_load(what, Measurement(running, arguments=lambda: ["paths", str(paths)]), members)
            events = Measurement(
                running,
                path=SERVICE_ADDRESS,
                batch=BATCH,
                arguments=lambda: ["events", new_run(), str(BATCH), "0"],
            )
            yield of_load(INGEST, events, members, units=BATCH)
    store.drop(KEYSPACE)


def of_import(dump: Path, members: Sequence[CassandraNode], *, workers: int) -> Cost:
    """Return what an event of an import costs."""
    events = dump.read_text().count("\n")
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", str(dump), "--workers", str(workers)]
    own, theirs = cpu_of_children(), cpu_of_nodes(members)
    began = time.monotonic()
    subprocess.run(
        command, env=environment_with(CASSANDRA_KEYSPACE=KEYSPACE), check=True, capture_output=True, cwd=dump.parent
    )
    seconds = time.monotonic() - began
    own, theirs = cpu_of_children() - own, cpu_of_nodes(members) - theirs
    return Cost(IMPORT, events / seconds, own / events * 1e6, theirs / events * 1e6)


def of_load(what: str, measurement: Measurement, members: Sequence[CassandraNode], *, units: int = 1) -> Cost:
    """Return what a request costs, or one of its ``units``, while the service is asked as fast as it answers."""
    measurement.load(seconds=WARM_UP_SECONDS)
    own, theirs = measurement.running.cpu_seconds(), cpu_of_nodes(members)
    load = measurement.load(seconds=SECONDS)
    own, theirs = measurement.running.cpu_seconds() - own, cpu_of_nodes(members) - theirs
    number = load.accepted * units
    return Cost(what, load.rate * units, own / number * 1e6, theirs / number * 1e6)


def cpu_of(cost: Cost, *, copies: int) -> float:
    """Return the CPU of both sides: of Cassandra's, what a copy of the rows takes."""
    return cost.own_us + cost.cassandra_us / copies


def line(cost: Cost, *, nodes: int, workers: int, share: float) -> list[str]:
    """Return the cells of a row."""
    numbers = (cost.rate, cost.own_us, cost.cassandra_us, cost.cassandra_us / nodes)
    return [str(nodes), str(workers), cost.what, *(f"{number:,.0f}" for number in numbers), f"{share:.2f}"]


if __name__ == "__main__":
    main()
