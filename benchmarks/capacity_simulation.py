"""Hold the formulas of benchmarks.capacity to a ring of three: what they say, what Cassandra says, and the ratio.

Starts three nodes (those of ``--data`` that run are taken), sends the traffic of docs/explanation/capacity.md scaled
down a hundred times by HTTP for two minutes, then asks the nodes' virtual tables how often each table was written and
read, and Cassandra's own tool ``sstablepartitions`` how large each partition is. Takes some five minutes.
"""

import csv
import dataclasses
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

COUNTRIES = ["".join(two) for two in product(ascii_uppercase, ascii_uppercase)]
NODES, KEYSPACE, SHARDS_OF_LARGEST = 3, "capacity", 4
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")
os.environ.update(
    CASSANDRA_HOSTS=",".join(f"127.0.0.{number}" for number in range(1, NODES + 1)),
    CASSANDRA_REPLICATION=f"datacenter1={NODES}",
    CASSANDRA_KEYSPACE=KEYSPACE,
    COUNTRY_SHARDS=f"1,{COUNTRIES[0]}={SHARDS_OF_LARGEST}",
    MIXED_RELEASES="False",
    WEB_WORKERS="2",
    WEB_THREADS="8",
)

import django  # noqa: E402  # the ring and the shards are in the environment

django.setup()

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session  # noqa: E402
from cassandra.policies import WhiteListRoundRobinPolicy  # noqa: E402

from benchmarks import capacity  # noqa: E402
from benchmarks.capacity import Load  # noqa: E402
from benchmarks.markdown import table  # noqa: E402
from benchmarks.programs import OURS_SHIPPED, PROJECT, cpu_of_nodes, started  # noqa: E402
from benchmarks.results import here_and_now, write_section  # noqa: E402
from benchmarks.store import Store, cassandra_port, opened_store  # noqa: E402
from benchmarks.traffic import Client  # noqa: E402
from embedded.cassandra import COORDINATES, CassandraNode, ring, start_ring  # noqa: E402
from embedded.jars import class_path  # noqa: E402
from embedded.java import java_executable  # noqa: E402
from events.clock import wall_clock_ms  # noqa: E402
from events.counting.hours import bring_up_to_date, count_starts  # noqa: E402
from events.counting.validity import NEVER, Marker, Position, read_late_writes  # noqa: E402
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, Event, Window, day_of, format_timestamp  # noqa: E402
from events.late_writes import slot_of  # noqa: E402
from events.services import record_events  # noqa: E402
from reports.player_sessions import completed_sessions  # noqa: E402
from store.cassandra import deadline_from_now  # noqa: E402

TOLERANCE = 0.2
SENDERS, WARM_UP_SECONDS = 8, 20
REPORT_HOURS = 26  # begins where there are no starts yet: the formula then has one end of a window
REPORTS = 5
QUORUM = 2
# Late starts of so many seconds are counted again by one round.
SECONDS_OF_ROUND = 5
FLUSH_SECONDS, SETTLE_SECONDS = 20, 8
TITLES = ("what", "formula", "measured", "ratio", "within 20 %")
READ, WRITTEN = "local_read_latency", "local_write_latency"


class Check(NamedTuple):
    """What a formula says and what was measured."""

    what: str
    formula: float
    measured: float

    @property
    def holds(self) -> bool:
        """Whether they differ by a fifth at most."""
        return abs(self.ratio - 1) <= TOLERANCE

    @property
    def ratio(self) -> float:
        return self.measured / self.formula

    def cells(self) -> Sequence[str]:
        """Return a row of a table, titled as TITLES."""
        figures = (f"{self.formula:,.3g}", f"{self.measured:,.3g}") if self.formula < 1000 else self._whole()
        return self.what, *figures, f"{self.ratio:.2f}", "yes" if self.holds else "no"

    def _whole(self) -> tuple[str, str]:
        return f"{self.formula:,.0f}", f"{self.measured:,.0f}"


class Sent(NamedTuple):
    """Acknowledged batches, in so many seconds, and what those without late starts took: the median."""

    batches: int
    seconds: float
    commit_ms: float


class Ring:
    """Three nodes, each asked for itself."""

    def __init__(self, nodes: Sequence[CassandraNode]) -> None:
        self.nodes = nodes
        self._sessions = [self._session(node.address[0]) for node in nodes]

    def _session(self, host: str) -> Session:
        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy([host]), request_timeout=60)
        cluster = Cluster([host], port=cassandra_port(), execution_profiles={EXEC_PROFILE_DEFAULT: profile})
        return cluster.connect()

    def counted(self, view: str) -> Counter[str]:
        """Return how often all nodes together have read or written partitions of each table."""
        total: Counter[str] = Counter()
        for session in self._sessions:
            for row in session.execute(f"SELECT keyspace_name, table_name, count FROM system_views.{view}"):
                total[row.table_name] += row.count if row.keyspace_name == KEYSPACE else 0
        return total

    def reads_of(self, ask: Callable[[], object], *, times: int = 1) -> dict[str, float]:
        """Return how many partitions of each table a question reads at one replica."""
        before = self.counted(READ)
        for _ in range(times):
            ask()
        return {name: number / times / QUORUM for name, number in (self.counted(READ) - before).items()}

    def cpu_seconds(self) -> float:
        """Return the CPU time of all nodes until now."""
        return cpu_of_nodes(self.nodes)

    def close(self) -> None:
        for session in self._sessions:
            session.cluster.shutdown()


@contextmanager
def ring_of_three(folder: Path) -> Iterator[Ring]:
    """The nodes while they are needed; those that ran before run on."""
    nodes = ring(folder=folder, nodes=NODES, port=cassandra_port())
    try:
        start_ring(nodes)
        opened = Ring(nodes)
        yield opened
        opened.close()
    finally:
        for node in nodes:
            if node.was_launched_here:
                node.stop()


class GameServer:
    """Sends batches of the load: half starts, some of them late, half ends of sessions that started before."""

    def __init__(self, load: Load, seed: int, *, players: int) -> None:
        self._load, self._players = load, players
        self._chance = random.Random(seed)
        self._open: list[tuple[str, str]] = []

    def batch(self) -> tuple[bool, list[dict[str, str]]]:
        """Return whether a start is late, and the next ten events."""
        number = int(self._load.batch * self._load.starts_share)
        began = [self._session() for _ in range(number)]
        ended, self._open = self._open or [self._session() for _ in range(number)], began
        now_ms = wall_clock_ms()
        late_by = [self.late_by_ms() for _ in began]
        starts = [
            self._event("start", one, now_ms - late_ms, country=self.country())
            for one, late_ms in zip(began, late_by, strict=True)
        ]
        return any(late_by), [*starts, *(self._event("end", one, now_ms) for one in ended)]

    def late_by_ms(self) -> int:
        """Nothing for most; minutes to a day for the others, each time as likely as its double."""
        if self._chance.random() >= self._load.late_share:
            return 0
        return self.late_ms()

    def late_ms(self) -> int:
        """Return two minutes to a day."""
        return int(2 * MINUTE_MS * (self._load.late_hours * 30) ** self._chance.random())

    def country(self) -> str:
        """Return a country, by its share."""
        return self._chance.choices(COUNTRIES[: self._load.countries], capacity.shares(self._load))[0]

    def player(self) -> str:
        """Return any player."""
        return uuid.uuid5(uuid.NAMESPACE_OID, str(self._chance.randrange(self._players))).hex

    def _session(self) -> tuple[str, str]:
        return self.player(), str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _event(self, kind: str, session: tuple[str, str], ts_ms: int, **fields: str) -> dict[str, str]:
        player, session_id = session
        return {"event": kind, "player_id": player, "session_id": session_id, "ts": format_timestamp(ts_ms), **fields}


def main() -> None:
    """Measure, print, and with --record add the rows to RESULTS.md; exit with 1 when a formula does not hold."""
    arguments = parsed_arguments()
    load = Load(events_per_second=arguments.rate, processes=2, machines=1, partition_mb=arguments.partition_mb)
    with ring_of_three(arguments.data) as nodes, opened_store() as store:
        checks, constants = measured(nodes, store, load, seconds=arguments.seconds)
    lines = table(TITLES, [check.cells() for check in checks])
    constants_table = table(("constant", "used", "measured"), constants)
    print(f"\n{lines}\n\n{constants_table}")
    if arguments.record:
        command = f"`python -m benchmarks.capacity_simulation --rate {arguments.rate} --seconds {arguments.seconds}`"
        write_section("capacity simulation", f"{command} {here_and_now()}", lines, "Constants:", constants_table)
    sys.exit(not all(check.holds for check in checks))


def parsed_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rate", type=float, default=800, help="events a second")
    parser.add_argument("--seconds", type=int, default=120, help="of traffic")
    parser.add_argument("--data", type=Path, default=PROJECT / ".data" / "capacity", help="folder of the three nodes")
    # So that the largest country, with 120 starts a second, has four shards as it is scaled down.
    parser.add_argument("--partition-mb", type=float, default=8.5, help="that a partition may have")
    return _with_record(parser)


def _with_record(parser: ArgumentParser) -> Namespace:
    parser.add_argument("--record", action="store_true", help="add the rows to benchmarks/RESULTS.md")
    return parser.parse_args()


Constants = Sequence[Sequence[str]]


def measured(nodes: Ring, store: Store, load: Load, *, seconds: int) -> tuple[list[Check], Constants]:
    """Return the checks of one run, and the constants as it has them."""
    assert capacity.shards_of_largest(load) == SHARDS_OF_LARGEST
    wait_for_room_in_the_hour(seconds + WARM_UP_SECONDS + 60)
    store.create(KEYSPACE)
    for name in tables_of(store):
        # A second replica that is asked because the machine is busy would be counted, too.
        store.execute(f"ALTER TABLE {KEYSPACE}.{name} WITH speculative_retry = 'NONE'")
    idle = idle_cores(nodes)
    with started(OURS_SHIPPED, keyspace=KEYSPACE) as web:
        players = int(load.events_per_second * load.starts_share * (seconds + WARM_UP_SECONDS) / load.player_sessions)
        servers = [GameServer(load, seed, players=players) for seed in range(SENDERS)]
        clients = [Client(web.url) for _ in servers]
        warm_up = send(servers, clients, load, seconds=WARM_UP_SECONDS)
        written, cpu, web_cpu, began = nodes.counted(WRITTEN), nodes.cpu_seconds(), web.cpu_seconds(), time.monotonic()
        sent = send(servers, clients, load, seconds=seconds)
        ended_ms = wall_clock_ms()
        cpu = nodes.cpu_seconds() - cpu - idle * (time.monotonic() - began)
        constants = [
            cpu_line(capacity.NODE_REQUEST, cpu / sent.batches),
            cpu_line(capacity.WEB_REQUEST, (web.cpu_seconds() - web_cpu) / sent.batches),
        ]
        time.sleep(SETTLE_SECONDS)
        written = nodes.counted(WRITTEN) - written
        texts = [*text_checks(store, load)]
        constants.append(report_line(web.url))
    # As it was: on a busy machine it may be slower than asked for.
    load = dataclasses.replace(
        load.times(sent.batches / sent.seconds / capacity.requests(load)), commit_ms=sent.commit_ms
    )
    all_seconds = (warm_up.batches + sent.batches) / capacity.requests(load)
    print(
        f"{capacity.requests(load):.0f} batches/s, a commit took {load.commit_ms:.0f} ms.", file=sys.stderr, flush=True
    )
    checks = [*write_checks(written, load, requests=sent.batches), *texts]
    checks += read_checks(nodes, servers[0], load, seconds=all_seconds, player=servers[0].player())
    markers, cost = read_markers(ended_ms, all_seconds)
    checks += marker_checks(markers, load, seconds=all_seconds)
    flush(store)
    sizes, rows = size_checks(nodes.nodes[0], load, seconds=all_seconds)
    return checks + sizes, [*constants, cpu_line(capacity.CELL_READ, cost), *rows]


def idle_cores(nodes: Ring) -> float:
    """How many cores the nodes keep busy while nobody asks them."""
    before = nodes.cpu_seconds()
    time.sleep(SETTLE_SECONDS)
    return (nodes.cpu_seconds() - before) / SETTLE_SECONDS


def report_line(url: str) -> Sequence[str]:
    """How many bytes a session takes in a report of all countries, asked for until it is there."""
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/v1/reports/starts/?hours=1") as reply:
                body = reply.read()
            break
        except urllib.error.HTTPError as error:  # nodes that have no processors of their own may be late
            print(f"A report: {error}", file=sys.stderr, flush=True)
            time.sleep(1)
    sessions = sum(len(country["sessions"]) + 1 for country in json.loads(body)["countries"])
    constant = capacity.REPORT_ROW
    return constant.what, f"{constant.value:g} bytes", f"{len(body) / sessions:.0f} bytes"


def cpu_line(constant: capacity.Constant, seconds: float) -> Sequence[str]:
    return constant.what, f"{constant.value:,g} {constant.unit}", f"{seconds / capacity.US:,.3g} µs"


def wait_for_room_in_the_hour(seconds: float) -> None:
    """All of the traffic has to lie in one hour."""
    left = 3_600 - time.time() % 3_600
    if left < seconds:
        time.sleep(left + 1)


def tables_of(store: Store) -> list[str]:
    found = store.execute(f"SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{KEYSPACE}'")
    return [name for (name,) in found]


def send(servers: Sequence[GameServer], clients: Sequence[Client], load: Load, *, seconds: int) -> Sent:
    """Send at the rate of the load, or as fast as batches are acknowledged."""
    pause = len(servers) / capacity.requests(load)
    number = int(seconds / pause)
    began = time.monotonic()
    took: list[float] = []

    def send_all(server: GameServer, client: Client) -> None:
        for done in range(1, number + 1):
            late, batch = server.batch()
            sent = time.monotonic()
            client.post(batch)
            if not late:
                took.append((time.monotonic() - sent) / capacity.MS)
            time.sleep(max(0.0, began + done * pause - time.monotonic()))

    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(send_all, servers, clients))
    print(f"{number * len(servers)} batches in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return Sent(number * len(servers), time.monotonic() - began, statistics.median(took))


def write_checks(written: Mapping[str, int], load: Load, *, requests: int) -> Iterator[Check]:
    """Mutations of a second, from the counters of the nodes."""
    seconds = requests / capacity.requests(load)

    def rate(name: str) -> float:
        return written[name] / NODES / seconds

    yield Check("mutations/s of session_by_country", capacity.country_updates(load), rate("session_by_country"))
    yield Check("mutations/s of session_by_player_id", load.events_per_second, rate("session_by_player_id"))
    yield Check(
        "mutations/s of completed_session_by_player_id", capacity.ends(load), rate("completed_session_by_player_id")
    )
    yield Check("markers/s", capacity.marker_commits(load), rate("late_write"))


def read_checks(nodes: Ring, server: GameServer, load: Load, *, seconds: float, player: str) -> Iterator[Check]:
    """Partitions that a round of the background and each report read; the web processes have ended by now."""
    wait_for_a_new_minute()
    days = [day_of(wall_clock_ms() - DAY_MS), day_of(wall_clock_ms())]
    bring_up_to_date(days, now_ms=wall_clock_ms())
    record_late(server, round(capacity.late_starts(load) * SECONDS_OF_ROUND))
    last_late = time.monotonic()
    read = nodes.reads_of(lambda: bring_up_to_date(days, now_ms=wall_clock_ms()))
    formula = capacity.partitions_counted_again(load, seconds=SECONDS_OF_ROUND)
    yield Check(f"late starts of {SECONDS_OF_ROUND} s: partitions counted again", formula, read["session_by_country"])
    for what, country in (("all countries", None), ("the largest country", COUNTRIES[0])):
        expected = reads_expected(load, seconds=seconds, last_late=last_late, of_all=country is None)
        read = nodes.reads_of(lambda country=country: report(country), times=REPORTS)  # type: ignore[misc]
        for name in ("start_count", "country_hour", "late_write", "session_by_country"):
            yield Check(f"{what}: partitions of {name}", getattr(expected, name), read[name])
    read = nodes.reads_of(lambda: last_completed(player), times=REPORTS)
    yield Check("a player: partitions", capacity.reads_of_player(a_day(load)).partitions(), sum(read.values()))


def wait_for_a_new_minute() -> None:
    """Minutes are over 210 s after they began: then none is for the next half of a minute."""
    time.sleep((30 - time.time()) % 60 + 1)


def record_late(server: GameServer, number: int) -> None:
    """Store so many late starts, as a web process does."""
    now_ms = wall_clock_ms()
    events = [Event("start", "late", uuid.uuid4(), now_ms - server.late_ms(), server.country()) for _ in range(number)]
    for first in range(0, number, 10):
        record_events(events[first : first + 10], now_ms=wall_clock_ms())


def reads_expected(load: Load, *, seconds: float, last_late: float, of_all: bool) -> capacity.Reads:
    """What the formulas say of a report that begins before there were any starts, and ends now."""
    window = window_now()
    days = {day_of(hour) for hour in window.hours()}
    return capacity.reads_of_starts(
        load,
        days=len(days),
        days_of_edges=len({day_of(window.from_ms), day_of(window.to_ms)}),
        edges=1,
        seconds=seconds,
        since_last=time.monotonic() - last_late,
        of_all=of_all,
    )


def window_now() -> Window:
    now_ms = wall_clock_ms()
    return Window(now_ms - REPORT_HOURS * HOUR_MS, now_ms)


def report(country: str | None) -> None:
    """Count as a report does."""
    count_starts(window=window_now(), now_ms=wall_clock_ms(), deadline=deadline_from_now(), country=country)


def last_completed(player: str) -> None:
    """Ask for the last 20 completed sessions."""
    completed_sessions(player_id=player, now_ms=wall_clock_ms(), limit=20)


def a_day(load: Load) -> Load:
    """The load of a store whose players have played for one day."""
    return dataclasses.replace(load, player_sessions=load.player_sessions / capacity.DAYS_A_YEAR)


def read_markers(ended_ms: int, seconds: float) -> tuple[Sequence[Marker], float]:
    """The markers of the traffic, and the CPU seconds that reading a minute of them took."""
    slots = range(slot_of(int(ended_ms - (seconds + 5) * 1000)), slot_of(ended_ms) + 2)
    began = time.process_time()
    markers = read_late_writes(slots, [Position(NEVER, {})], deadline=deadline_from_now()).markers
    return markers, (time.process_time() - began) / sum(len(marker.cells) for marker in markers)


def marker_checks(markers: Sequence[Marker], load: Load, *, seconds: float) -> Iterator[Check]:
    """Which minutes and hours the late starts of the traffic are spread over."""
    cells = {(cell.country, cell.hour_ms, cell.minute) for marker in markers for cell in marker.cells}
    hours = {(country, hour) for country, hour, _ in cells}
    yield Check("minutes of countries written late", capacity.cells_written_late(load, seconds=seconds), len(cells))
    yield Check("hours of countries written late", capacity.hours_written_late(load, seconds=seconds), len(hours))


def text_checks(store: Store, load: Load) -> Iterator[Check]:
    """Bytes of the two texts of counts: hours that late starts alone are in have a digit for each minute."""
    day = day_of(wall_clock_ms() - DAY_MS)
    rows = store.execute(f"SELECT minutes, day_hours FROM {KEYSPACE}.start_count WHERE day = {day}")
    texts = [len(minutes) for minutes, _ in rows if minutes]
    yield Check("bytes of the minutes of an hour", capacity.minutes_text(load, of_minute=1), statistics.mean(texts))
    whole = rows[0][1]
    countries = len(json.loads(whole)[-1])
    small = dataclasses.replace(load, events_per_second=1e-9, countries=countries)
    yield Check(f"bytes of the hours of a day, of {countries} countries", capacity.day_text(small), len(whole))


def flush(store: Store) -> None:
    """Have the nodes write their memtables to files."""
    for name in tables_of(store):
        store.execute(f"ALTER TABLE {KEYSPACE}.{name} WITH memtable_flush_period_in_ms = 1000")
    time.sleep(FLUSH_SECONDS)
    for name in tables_of(store):
        store.execute(f"ALTER TABLE {KEYSPACE}.{name} WITH memtable_flush_period_in_ms = 0")


class Partition(NamedTuple):
    """A partition of a table: bytes in its files before compression, and rows."""

    size: int
    rows: int


def partitions(node: CassandraNode) -> dict[str, dict[str, Partition]]:
    """Return by table and key what ``sstablepartitions`` says of the files of one node, which has a copy of all."""
    java = [str(part) for part in node.command(java_executable(), class_path_of(node))[:-1] if "-Xms" not in str(part)]
    command = [*java, "org.apache.cassandra.tools.SSTablePartitions", "-m", "-r", "-t", "1", str(files_of(node))]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    titles, *lines = output[output.index("key,keyBinary") :].splitlines()
    found: dict[str, dict[str, Partition]] = defaultdict(dict)
    of_ours = [line for line in lines if f",{KEYSPACE}," in line]  # between lines of a log
    for row in csv.DictReader([titles, *of_ours]):
        size, rows = found[row["table"]].get(row["key"], Partition(0, 0))
        found[row["table"]][row["key"]] = Partition(size + int(row["size"]), rows + int(row["rowCount"]))
    return found


def class_path_of(node: CassandraNode) -> list[Path]:
    return class_path(COORDINATES, remembered_in=node.folder.parent / "cassandra.classpath")


def files_of(node: CassandraNode) -> Path:
    return node.folder / "data" / KEYSPACE


def size_checks(node: CassandraNode, load: Load, *, seconds: float) -> tuple[list[Check], Constants]:
    """Sizes of partitions and files."""
    found = partitions(node)
    starts = {key: one for key, one in found["session_by_country"].items() if key.startswith(f"{COUNTRIES[0]}:")}
    prompt = 1 - load.late_share  # what comes late is of earlier minutes than the traffic
    largest = capacity.largest_start_partition(load, seconds=seconds) * prompt
    checks = [
        Check(
            "bytes of the largest partition of session_by_country", largest, max(one.size for one in starts.values())
        ),
        Check(
            "mean bytes of a player in session_by_player_id",
            capacity.session_partition(load, days=1),
            mean_size(found["session_by_player_id"]),
        ),
        Check(
            "mean bytes of a player in completed_session_by_player_id",
            capacity.completed_partition(load, days=1),
            mean_size(found["completed_session_by_player_id"]),
        ),
        Check("bytes of the largest day of start_count", *count_sizes(found["start_count"], load)),
        Check("bytes of a slot of late_write", capacity.marker_partition(load), full_slot(found["late_write"])),
        Check(
            "bytes of session_by_country, all",
            capacity.starts(load) * seconds * capacity.START_ROW.value,
            total(found["session_by_country"]),
        ),
        Check(
            "bytes of country_hour, all",
            capacity.INDEX_ROW.value * total_rows(found["country_hour"]),
            total(found["country_hour"]),
        ),
    ]
    rows = ("session_by_country", "session_by_player_id", "completed_session_by_player_id")
    disk = sum(file.stat().st_size for name in rows for file in files_of(node).glob(f"{name}-*/*-Data.db"))
    ratio = disk / sum(total(found[name]) for name in rows)
    return checks, [(capacity.ON_DISK.what, f"{capacity.ON_DISK.value}", f"{ratio:.2f}"), *row_lines(found)]


def count_sizes(days: Mapping[str, Partition], load: Load) -> tuple[float, float]:
    """What the formula says of the largest day of start_count, whose hours have late starts only, and what it is."""
    largest = max(days.values())
    row = capacity.COUNT_ROW.value + capacity.minutes_text(load, of_minute=1)
    return largest.rows * row + capacity.day_text(dataclasses.replace(load, events_per_second=1e-9)), largest.size


def row_lines(found: Mapping[str, Mapping[str, Partition]]) -> Iterator[Sequence[str]]:
    """Bytes of a row with its share of the partition."""
    used = {
        "session_by_country": capacity.START_ROW,
        "session_by_player_id": capacity.SESSION_ROW,
        "completed_session_by_player_id": capacity.COMPLETED_ROW,
        "country_hour": capacity.INDEX_ROW,
    }
    for name, constant in used.items():
        size = total(found[name]) / total_rows(found[name])
        yield f"{constant.what}, with its share of the partition", f"{constant.value:g} bytes", f"{size:.1f} bytes"


def mean_size(of_table: Mapping[str, Partition]) -> float:
    return total(of_table) / len(of_table)


def total(of_table: Mapping[str, Partition]) -> float:
    return sum(one.size for one in of_table.values())


def total_rows(of_table: Mapping[str, Partition]) -> float:
    return sum(one.rows for one in of_table.values())


def full_slot(of_table: Mapping[str, Partition]) -> float:
    """The median: the first and the last slot of the traffic are not full."""
    return statistics.median(one.size for one in of_table.values())


if __name__ == "__main__":
    main()
