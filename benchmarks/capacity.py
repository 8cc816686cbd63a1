"""What a traffic asks of the service and its stores: sizes, rates, reads, memory and nodes, computed and not measured.

``python -m benchmarks.capacity`` prints the tables of docs/explanation/capacity.md; each option is a property of the
traffic, of the service or of the machines. Each formula is a function, and its docstring is what the page says of it.
What was measured has a name, a value and a source. ``benchmarks/capacity_simulation.py`` holds the formulas to a real
ring.
"""

import dataclasses
import math
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.markdown import table, wrapped

PAGE = Path(__file__).resolve().parent.parent / "docs/explanation/capacity.md"
BEGIN, END = "<!-- python -m benchmarks.capacity --write -->\n", "<!-- end -->\n"

SECONDS_AN_HOUR, SECONDS_A_DAY, DAYS_A_YEAR = 3_600, 86_400, 365.25
HOURS_A_DAY, MINUTES_AN_HOUR = 24, 60
MB, TB, MIB = 1e6, 1e12, 2**20
US, MS = 1e-6, 1e-3


class Constant(NamedTuple):
    """A number that formulas rest on, and where it comes from."""

    what: str
    value: float
    unit: str
    source: str


SIZES = "simulation: `sstablepartitions`"
START_ROW = Constant("a row of session_by_country", 74, "bytes", SIZES)
SESSION_ROW = Constant("a row of session_by_player_id, started and ended", 72, "bytes", SIZES)
COMPLETED_ROW = Constant("a row of completed_session_by_player_id", 34, "bytes", SIZES)
INDEX_ROW = Constant("a row of country_hour", 32, "bytes", SIZES)
COUNT_ROW = Constant("a row of start_count, beside its text", 54, "bytes", SIZES)
MARKER_ROW = Constant("a row of late_write, beside its minutes", 55, "bytes", SIZES)
MARKER_CELL = Constant("a minute in a marker", 25, "bytes", SIZES)
PLAYER = Constant("a player's partition, beside its rows", 35, "bytes", SIZES)
SEEN_WRITER = Constant("a writer in the position of a count", 31, "bytes", "its JSON: a name and a version")
POSITION = Constant("the rest of a position", 21, "bytes", "its JSON: a slot, brackets, commas")
ON_DISK = Constant("files of sessions / their rows", 0.82, "", "simulation: files, which are compressed")
ROW_COUNTED = Constant(
    "a row that is counted, by one statement", 1.0, "µs", "RESULTS.md, in turn with earlier code: 201 ms / 200,000"
)
PARTITION_READ = Constant("a partition of an `IN`", 55, "µs", "RESULTS.md, figures: 0.4 s / 7,200")
CELL_READ = Constant("a minute of a marker, CPU of who reads it", 3.0, "µs", "simulation")
WEB_REQUEST = Constant("a batch of ten, CPU of its web process", 543, "µs", "RESULTS.md, ingest: median")
NODE_REQUEST = Constant("a batch of ten, CPU of all nodes at RF 3", 12_000, "µs", "simulation, three runs: 11 to 14 ms")
GROUP_COMMIT = Constant(
    "a group commit until it is durable", 5, "ms", "assumed: nodes that are not busy, one data centre"
)
WEB_PROCESS = Constant("a web process with empty caches", 76, "MB", "RESULTS.md, overload: 229 MB of three")
REPORT_ROW = Constant("a session in a report", 134, "bytes", "simulation: a reply / its sessions")

# --- Fixed by the code, each where its name says ----------------------------------------------------------------------
MOST_SHARDS = 64  # events/domain.py
PROMPT_SECONDS, MARGIN_SECONDS = 120, 90  # events/domain.py, events/counting/validity.py
SLOT_SECONDS = 10  # events/late_writes.py
AHEAD_SECONDS = 30  # LATE_MS + CLOCK_SET_BACK_MS there: how far ahead of a late start its register is
MARKER_SECONDS = 86_400
MOST_CELLS = 64  # events/counting/hours.py
MOST_COUNTING_SECONDS, PAUSE_PER_ROUND = 60, 3  # there, and events/counting/background.py
PARTITIONS_PER_STATEMENT, STARTS_PER_STATEMENT = 72, 400  # events/counting/minutes.py
WRITES_AT_A_TIME, STATEMENTS_PER_WRITE = 3, 100  # events/commits.py
READS_IN_FLIGHT = 16  # store/cassandra.py
# read_request_timeout of docs/how-to/operate.md: a node ends each statement after it; there are no pages
READ_SECONDS = 2
REPORT_CACHE_SECONDS, RESPONSE_CACHE_MB, INDEX_ENTRIES_MB = 50, 24, 10  # settings.py, memory.py, services.py
WINDOW_DAYS, MARKER_WINDOW_HOURS = 15, 4  # events/models.py
GRACE_DAYS, GARBAGE_DAYS = 10, 30  # gc_grace_seconds of Cassandra; docs/how-to/operate.md: nodetool garbagecollect
MARKER_GRACE_HOURS = 3  # events/models.py
COMPACTION_MIB = 64  # compaction_throughput of Cassandra
LEVELS_GROW = 4  # T4: as many files of one size become one
# The promise, and what of a machine is spent on purpose.
GOAL_SECONDS, BUSY, FULL = 0.5, 0.5, 0.5


@dataclass(frozen=True)
class Load:
    """The traffic, the service and the machines; the metadata are the help of each option."""

    events_per_second: float = field(default=80_000, metadata={"help": "all day"})
    starts_share: float = field(default=0.5, metadata={"help": "of events; the others are ends"})
    batch: float = field(default=10, metadata={"help": "events of a request"})
    countries: int = field(default=200, metadata={"help": "with starts all day"})
    largest_share: float = field(default=0.30, metadata={"help": "of starts, of the largest country"})
    fall: float = field(default=0.97, metadata={"help": "starts of each further country / those of the one before"})
    late_share: float = field(default=0.10, metadata={"help": "of starts that come two minutes late or later"})
    late_hours: int = field(default=24, metadata={"help": "by which they are late at most: each time like its double"})
    player_sessions: float = field(default=8, metadata={"help": "of a player a day"})
    reports_per_second: float = field(default=20, metadata={"help": "of all countries, each with another question"})
    commit_ms: float = field(default=5, metadata={"help": "that a group commit takes; assumed, not measured"})
    processes: int = field(default=30, metadata={"help": "web processes"})
    threads: int = field(default=8, metadata={"help": "of each"})
    machines: int = field(default=10, metadata={"help": "that they run on"})
    replication: int = field(default=3, metadata={"help": "copies of each row"})
    node_cores: int = field(default=16, metadata={"help": "of a Cassandra node"})
    node_tb: float = field(default=4, metadata={"help": "disk of a Cassandra node"})
    flush_mb: float = field(default=256, metadata={"help": "of a table that a node flushes at once"})
    partition_mb: float = field(default=100, metadata={"help": "that a partition of a country and hour may have"})

    def times(self, factor: float) -> "Load":
        """Return the same with so many times the events."""
        return dataclasses.replace(self, events_per_second=self.events_per_second * factor)


# --- Traffic ----------------------------------------------------------------------------------------------------------


def starts(load: Load) -> float:
    """events a second x share of starts"""
    return load.events_per_second * load.starts_share


def ends(load: Load) -> float:
    """events a second - starts a second"""
    return load.events_per_second - starts(load)


def late_starts(load: Load) -> float:
    """starts a second x late share"""
    return starts(load) * load.late_share


def requests(load: Load) -> float:
    """events a second / events of a request"""
    return load.events_per_second / load.batch


@cache
def shares(load: Load) -> Sequence[float]:
    """of starts: the largest country has its share, each further one `fall` times that of the one before"""
    falling = [load.fall**rank for rank in range(load.countries - 1)]
    rest = (1 - load.largest_share) / sum(falling)
    return [load.largest_share, *(share * rest for share in falling)]


def starts_of_largest(load: Load) -> float:
    """starts a second x share of the largest country"""
    return starts(load) * load.largest_share


# --- Writes -----------------------------------------------------------------------------------------------------------


def group_commits(load: Load) -> float:
    """requests a second, but of each process at most 3 (in flight at a time) / a group commit"""
    return min(requests(load), load.processes * WRITES_AT_A_TIME / (load.commit_ms * MS))


def statements(load: Load) -> float:
    """2 x events a second + a register for each late start"""
    return 2 * load.events_per_second + late_starts(load)


def statements_of_group(load: Load) -> float:
    """statements / group commits; 100 at most"""
    return statements(load) / group_commits(load)


def requests_with_late(load: Load) -> float:
    """requests a second x (1 - (1 - late share)^(starts of a request))"""
    return requests(load) * (1 - (1 - load.late_share) ** (load.batch * load.starts_share))


def marker_commits(load: Load) -> float:
    """processes / (c + e^(-r c) / r): a commit takes c, and r requests with late starts a second and process gather"""
    rate, commit = requests_with_late(load) / load.processes, load.commit_ms * MS
    return load.processes / (commit + math.exp(-rate * commit) / rate)


def country_updates(load: Load) -> float:
    """requests x different countries and shards among the starts of a request: Cassandra makes one mutation of those"""
    number = load.batch * load.starts_share
    each = ((share / shards_of(load, share), shards_of(load, share)) for share in shares(load))
    return requests(load) * sum(shards * (1 - (1 - part) ** number) for part, shards in each)


# --- Tables -----------------------------------------------------------------------------------------------------------


def shards_of(load: Load, share: float) -> int:
    """starts of a country an hour x a row / bytes that a partition may have, rounded up; 64 at most"""
    size = starts(load) * share * SECONDS_AN_HOUR * START_ROW.value
    return min(MOST_SHARDS, max(1, math.ceil(size / (load.partition_mb * MB))))


def shards_of_largest(load: Load) -> float:
    """starts of the largest country an hour x a row / bytes that a partition may have, rounded up; 64 at most"""
    return shards_of(load, load.largest_share)


def largest_start_partition(load: Load, *, seconds: float = SECONDS_AN_HOUR) -> float:
    """starts of the largest country an hour x a row / shards"""
    return starts_of_largest(load) * seconds * START_ROW.value / shards_of_largest(load)


def start_partitions(load: Load) -> float:
    """24 x sum of the shards of all countries"""
    return HOURS_A_DAY * sum(shards_of(load, share) for share in shares(load))


def session_partition(load: Load, *, days: float = DAYS_A_YEAR) -> float:
    """sessions of a player a day x days x a row + the partition itself"""
    return load.player_sessions * days * SESSION_ROW.value + PLAYER.value


def completed_partition(load: Load, *, days: float = DAYS_A_YEAR) -> float:
    """the same with a row for each end"""
    sessions = load.player_sessions * days * ends(load) / starts(load)
    return sessions * COMPLETED_ROW.value + PLAYER.value


def index_rows(load: Load) -> float:
    """countries x processes, each hour: a process writes what it has not seen become durable"""
    return load.countries * load.processes / SECONDS_AN_HOUR


def index_partition(load: Load) -> float:
    """24 x countries x a row"""
    return HOURS_A_DAY * load.countries * INDEX_ROW.value


def position(load: Load) -> float:
    """processes x a writer + the rest of a position: who left a marker in the last 90 s"""
    return load.processes * SEEN_WRITER.value + POSITION.value


def _digits(number: float) -> int:
    return len(str(max(1, round(number))))


def minutes_text(load: Load, *, of_minute: float | None = None) -> float:
    """a position + 60 x (digits of the starts of a minute + 2), of the mean country"""
    of_minute = starts(load) * 60 / load.countries if of_minute is None else of_minute
    return position(load) + MINUTES_AN_HOUR * (_digits(of_minute) + 2)


def day_text(load: Load, *, hours: int = HOURS_A_DAY) -> float:
    """a position + for each country 10 and for each hour the digits of its starts + 2"""
    digits = (_digits(starts(load) * share * SECONDS_AN_HOUR) for share in shares(load))
    return position(load) + sum(10 + hours * (number + 2) for number in digits)


def count_partition(load: Load) -> float:
    """24 x countries x (a row + its minutes) + the day"""
    return HOURS_A_DAY * load.countries * (COUNT_ROW.value + minutes_text(load)) + day_text(load)


def count_bytes(load: Load) -> float:
    """a register for each late start; each second the minutes of the hours written late, and two days"""
    stored = hours_written_late(load) * (COUNT_ROW.value + minutes_text(load)) + 2 * day_text(load)
    return late_starts(load) * COUNT_ROW.value + stored


def count_rows(load: Load) -> float:
    """a register for each late start; each second the hours written late, and two days"""
    return late_starts(load) + hours_written_late(load) + 2


def marker_bytes(load: Load) -> float:
    """markers x a row + late starts x a minute"""
    return marker_commits(load) * MARKER_ROW.value + late_starts(load) * MARKER_CELL.value


def marker_partition(load: Load) -> float:
    """10 s x bytes of markers a second"""
    return SLOT_SECONDS * marker_bytes(load)


# --- Disk, compaction, what has expired -------------------------------------------------------------------------------


def session_bytes(load: Load) -> float:
    """starts x (a row of session_by_country + one by player) + ends x a row of completed, a second"""
    return starts(load) * (START_ROW.value + SESSION_ROW.value) + ends(load) * COMPLETED_ROW.value


def _year(bytes_a_second: float, *, more_days: float = 0) -> float:
    return bytes_a_second * ON_DISK.value * (DAYS_A_YEAR + more_days) * SECONDS_A_DAY


def start_disk(load: Load) -> float:
    """bytes a second x compression x copies x (a year + 15 days of a window + 10 of gc_grace)"""
    return load.replication * _year(starts(load) * START_ROW.value, more_days=WINDOW_DAYS + GRACE_DAYS)


def player_disk(load: Load) -> float:
    """bytes a second x compression x copies x (a year + 10 days of gc_grace + 30 until nodetool garbagecollect)"""
    rows = starts(load) * SESSION_ROW.value + ends(load) * COMPLETED_ROW.value
    return load.replication * _year(rows, more_days=GRACE_DAYS + GARBAGE_DAYS)


def count_disk(load: Load) -> float:
    """partitions of start_count and country_hour x copies x a year, before compression"""
    return load.replication * DAYS_A_YEAR * (count_partition(load) + index_partition(load))


def marker_disk(load: Load) -> float:
    """bytes a second x copies x (a day + a window of 4 hours + 3 hours of gc_grace), before compression"""
    seconds = MARKER_SECONDS + (MARKER_WINDOW_HOURS + MARKER_GRACE_HOURS) * SECONDS_AN_HOUR
    return load.replication * marker_bytes(load) * seconds


def disk(load: Load) -> float:
    """the sum of all tables"""
    return start_disk(load) + player_disk(load) + count_disk(load) + marker_disk(load)


def nodes_by_disk(load: Load) -> float:
    """disk of all tables / (disk of a node x 0.5: compaction needs room, and a lost node has to fit)"""
    return math.ceil(disk(load) / (load.node_tb * TB * FULL))


def nodes_by_cpu(load: Load) -> float:
    """(batches of ten x a batch + rows counted again x 2 replicas x a row) / (cores x 0.5)"""
    seconds = load.events_per_second / 10 * NODE_REQUEST.value * US
    return math.ceil((seconds + 2 * counting_seconds(load)) / (load.node_cores * BUSY))


def nodes_by_cpu_of_writes(load: Load) -> float:
    """batches of ten x a batch / (cores x 0.5)"""
    return math.ceil(load.events_per_second / 10 * NODE_REQUEST.value * US / (load.node_cores * BUSY))


def nodes(load: Load) -> float:
    """the larger of the nodes that disk and the CPU of writes ask for, three at least"""
    return max(load.replication, nodes_by_disk(load), nodes_by_cpu_of_writes(load))


def written_by_node(load: Load) -> float:
    """(bytes of sessions, counts and markers) x copies / nodes, a second"""
    return (session_bytes(load) + count_bytes(load) + marker_bytes(load)) * load.replication / nodes(load)


def levels(load: Load) -> float:
    """how often a row is written again: log4(disk of a node / what it flushes at once), rounded up"""
    return math.ceil(math.log(max(LEVELS_GROW, disk(load) / nodes(load) / (load.flush_mb * MB)), LEVELS_GROW))


def compaction(load: Load) -> float:
    """bytes written by a node x how often a row is written again, a second"""
    return written_by_node(load) * levels(load)


def expiring_rows(load: Load) -> float:
    """rows written a second, a year ago: 2 for an event; of markers a day ago"""
    return 2 * load.events_per_second + marker_commits(load)


def expired_of_player(load: Load) -> float:
    """sessions of a player a day x (10 days of gc_grace + 30 until nodetool garbagecollect)"""
    return load.player_sessions * (GRACE_DAYS + GARBAGE_DAYS)


# --- Counting again what came late ------------------------------------------------------------------------------------


@cache
def lateness(load: Load) -> Sequence[float]:
    """of late starts, the share that is each number of minutes late, from two on: each time as likely as its double"""
    last = load.late_hours * MINUTES_AN_HOUR
    whole = math.log(last / 2)
    return [math.log((minute + 1) / minute) / whole for minute in range(2, last)]


def _touched(rate: float, parts: Sequence[float], *, seconds: float) -> float:
    """How many of these parts are written to in so many seconds."""
    return sum(-math.expm1(-rate * part * seconds) for part in parts)


@cache
def _hours_of(load: Load) -> Sequence[float]:
    """Of late starts, the share of each hour before now."""
    minutes = lateness(load)
    return [sum(minutes[first : first + MINUTES_AN_HOUR]) for first in range(0, len(minutes), MINUTES_AN_HOUR)]


@cache
def cells_written_late(load: Load, *, seconds: float = 1) -> float:
    """sum over countries and minutes of 1 - e^(-late starts of the minute), in a second"""
    return sum(_touched(late_starts(load) * share, lateness(load), seconds=seconds) for share in shares(load))


@cache
def hours_written_late(load: Load, *, seconds: float = 1) -> float:
    """sum over countries and hours of 1 - e^(-late starts of the hour), in a second"""
    return sum(_touched(late_starts(load) * share, _hours_of(load), seconds=seconds) for share in shares(load))


@cache
def rows_counted_again(load: Load, *, seconds: float = 1) -> float:
    """sum over countries of minutes written late in a second x starts of a minute; hours of 400 starts as a whole"""
    rows = 0.0
    for share in shares(load):
        late, of_minute = late_starts(load) * share, starts(load) * share * 60
        small = of_minute * MINUTES_AN_HOUR <= STARTS_PER_STATEMENT
        parts = _hours_of(load) if small else lateness(load)
        rows += _touched(late, parts, seconds=seconds) * of_minute * (MINUTES_AN_HOUR if small else 1)
    return rows


def partitions_counted_again(load: Load, *, seconds: float) -> float:
    """for each hour: countries written late + (shards of the largest - 1) x those in its statement, if it is written to

    Of hours with 400 starts at most, which are counted as a whole.
    """
    most = shards_of_largest(load)
    chunk = max(1, PARTITIONS_PER_STATEMENT // most)
    partitions = 0.0
    for part in _hours_of(load):
        late = late_starts(load) * part * seconds
        countries = sum(-math.expm1(-late * share) for share in shares(load))
        partitions += countries - math.expm1(-late * load.largest_share) * min(countries, chunk) * (most - 1)
    return partitions


def counting_seconds(load: Load) -> float:
    """rows counted again in a second x a row that is counted"""
    return rows_counted_again(load) * ROW_COUNTED.value * US


def counting_statements(load: Load) -> float:
    """for each minute that is written late in a second: countries / (72 / most shards), one at least"""
    chunk = max(1, PARTITIONS_PER_STATEMENT // shards_of(load, load.largest_share))
    countries_of = [0.0] * len(lateness(load))
    for share in shares(load):
        for number, part in enumerate(lateness(load)):
            countries_of[number] += -math.expm1(-late_starts(load) * share * part)
    return sum(max(-math.expm1(-countries), countries / chunk) for countries in countries_of)


# --- Reports ----------------------------------------------------------------------------------------------------------


def slots_read(load: Load, *, since_last: float = 0) -> float:
    """(90 s behind the position + 30 s that a register is ahead) / 10 s + 1"""
    return max(0, MARGIN_SECONDS + AHEAD_SECONDS - since_last) / SLOT_SECONDS + 1


def markers_read(load: Load) -> float:
    """markers a second x 10 s x slots with any: (90 s / 10 s + 1)"""
    return marker_commits(load) * (MARGIN_SECONDS + SLOT_SECONDS)


def marker_cells_read(load: Load) -> float:
    """late starts a second x (90 s + 10 s)"""
    return late_starts(load) * (MARGIN_SECONDS + SLOT_SECONDS)


def remainder_seconds(load: Load) -> float:
    """what of the present hour is counted each time: 120 s in which a start is prompt + 90 s + half a minute"""
    return PROMPT_SECONDS + MARGIN_SECONDS + 30


def rows_of_present(load: Load) -> float:
    """starts a second x 240 s"""
    return starts(load) * remainder_seconds(load)


def rows_of_present_of_largest(load: Load) -> float:
    """starts of the largest country x 240 s"""
    return starts_of_largest(load) * remainder_seconds(load)


def countries_with_starts(load: Load, *, seconds: float) -> float:
    """sum over countries of 1 - e^(-starts of the country in so many seconds)"""
    return sum(-math.expm1(-starts(load) * share * seconds) for share in shares(load))


def edge_partitions(load: Load, *, seconds: float = SECONDS_AN_HOUR, edges: int = 2) -> float:
    """countries with starts x shards of the largest, at both ends of a window: a statement reads as many of each"""
    return edges * countries_with_starts(load, seconds=seconds) * shards_of_largest(load)


def edge_statements(load: Load) -> float:
    """2 x countries / (72 / shards of the largest)"""
    return 2 * math.ceil(load.countries / max(1, PARTITIONS_PER_STATEMENT // shards_of(load, load.largest_share)))


class Reads(NamedTuple):
    """What a report reads once, at one replica: partitions of each table, rows that are counted or decoded, bytes."""

    start_count: float
    country_hour: float
    late_write: float
    session_by_country: float
    session_by_player_id: float
    rows: float
    size: float

    def partitions(self) -> float:
        """Return those of all tables."""
        return sum(self[:5])


def reads_of_starts(
    load: Load,
    *,
    days: int,
    days_of_edges: int = 2,
    edges: int = 2,
    seconds: float = SECONDS_AN_HOUR,
    since_last: float = 0,
    of_all: bool = True,
) -> Reads:
    """Return what a report of starts up to now reads, of all countries or the largest; see the page for the formulas.

    The window cuts ``edges`` hours with starts, of ``days_of_edges`` days; there are starts for so many ``seconds`` of
    the present hour, and the last late one came ``since_last`` seconds ago.
    """
    share = 1.0 if of_all else load.largest_share
    countries = countries_with_starts(load, seconds=seconds) if of_all else 1
    rows = starts(load) * share * (min(seconds, remainder_seconds(load)) + (edges - 1) * 30)
    texts = days * day_text(load) + edges * countries * (COUNT_ROW.value + minutes_text(load))
    return Reads(
        start_count=days + days_of_edges,
        country_hour=1,
        late_write=slots_read(load, since_last=since_last),
        session_by_country=edges * countries * shards_of_largest(load),
        session_by_player_id=0,
        rows=rows + markers_read(load) + countries * (edges + 1) + days,
        size=texts + rows * START_ROW.value + marker_partition(load) * (MARGIN_SECONDS / SLOT_SECONDS + 1),
    )


def reads_of_player(load: Load) -> Reads:
    """Return what the last 20 completed sessions read: 100 sessions at most at once, else the last 21 ends first."""
    few = load.player_sessions * DAYS_A_YEAR <= 100
    rows = load.player_sessions * DAYS_A_YEAR if few else 21 * 2
    size = rows * SESSION_ROW.value if few else 21 * (SESSION_ROW.value + COMPLETED_ROW.value)
    return Reads(0, 0, 0, 0, 1 if few else 2, rows, size)


def report_bytes(load: Load) -> float:
    """countries x (10 newest sessions + 1) x a session"""
    return load.countries * 11 * REPORT_ROW.value


# --- Memory -----------------------------------------------------------------------------------------------------------


def machine_memory(load: Load) -> float:
    """processes of a machine x (a process + 24 MB of replies + 10 MB of index entries)"""
    return load.processes / load.machines * (WEB_PROCESS.value + RESPONSE_CACHE_MB + INDEX_ENTRIES_MB) * MB


def redis_memory(load: Load) -> float:
    """reports of all countries a second x 50 s x a report"""
    return load.reports_per_second * REPORT_CACHE_SECONDS * report_bytes(load)


# --- What has a bound -------------------------------------------------------------------------------------------------


def web_cores(load: Load) -> float:
    """requests a second x CPU of a web process / processes"""
    return load.events_per_second / 10 * WEB_REQUEST.value * US / load.processes


def threads_busy(load: Load) -> float:
    """requests a second x (a group commit + CPU) + markers x a group commit, of all threads"""
    seconds = (
        requests(load) * (load.commit_ms * MS + WEB_REQUEST.value * US) + marker_commits(load) * load.commit_ms * MS
    )
    return seconds / (load.processes * load.threads)


def seconds_of_hour(load: Load) -> float:
    """starts of the largest country an hour x a row that is counted: one statement"""
    return starts_of_largest(load) * SECONDS_AN_HOUR * ROW_COUNTED.value * US


def bytes_of_hour(load: Load) -> float:
    """starts of the largest country an hour x a row: one node collects them, Cassandra adds up where it is asked"""
    return starts_of_largest(load) * SECONDS_AN_HOUR * START_ROW.value


def seconds_of_present(load: Load) -> float:
    """starts of the largest country x 240 s x a row that is counted: one statement"""
    return rows_of_present_of_largest(load) * ROW_COUNTED.value * US


def seconds_of_markers(load: Load) -> float:
    """late starts x 100 s x a minute of a marker: decoded by each report"""
    return marker_cells_read(load) * CELL_READ.value * US


def seconds_of_edges(load: Load) -> float:
    """partitions of the two hours that a window cuts x a partition of an IN / 16 statements at a time"""
    return edge_partitions(load) * PARTITION_READ.value * US / READS_IN_FLIGHT


def seconds_of_late(load: Load) -> float:
    """minutes written late in a second, 200 at most, x their starts x a row that is counted / 16 at a time"""
    cells = cells_written_late(load)
    rows = rows_counted_again(load) * min(1, MOST_CELLS / cells)
    return rows * ROW_COUNTED.value * US / READS_IN_FLIGHT


def seconds_of_round(load: Load) -> float:
    """rows counted again in 240 s (a round of 60 s and its pause) x a row that is counted / 16 at a time"""
    seconds = MOST_COUNTING_SECONDS * (1 + PAUSE_PER_ROUND)
    return rows_counted_again(load, seconds=seconds) * ROW_COUNTED.value * US / READS_IN_FLIGHT


def unbounded_shards(load: Load) -> float:
    """starts of the largest country an hour x a row / bytes that a partition may have"""
    return starts_of_largest(load) * SECONDS_AN_HOUR * START_ROW.value / (load.partition_mb * MB)


class Limit(NamedTuple):
    """Something that has a bound: what is asked of it, the most it may be, and what happens beyond."""

    what: str
    demand: Callable[[Load], float]
    bound: float
    unit: str
    then: str


LIMITS = (
    Limit(
        "late minutes, counted again in the background",
        seconds_of_round,
        MOST_COUNTING_SECONDS,
        "s",
        "the background is never done: `late.waiting` and `late.since` grow in every report",
    ),
    Limit(
        "late minutes, counted again in a report",
        seconds_of_late,
        GOAL_SECONDS,
        "s",
        "reports miss 500 ms; from eight times that on they are 503",
    ),
    Limit(
        "the hour that has ended, counted once",
        seconds_of_hour,
        READ_SECONDS,
        "s",
        "Cassandra ends the statement: the hour is never stored, and reports that have it in their window are 503",
    ),
    Limit(
        "the minutes before now, counted by each report",
        seconds_of_present,
        GOAL_SECONDS,
        "s",
        "reports up to now miss 500 ms; from four times that on they are 503",
    ),
    Limit(
        "markers of late starts, read by each report",
        seconds_of_markers,
        GOAL_SECONDS,
        "s",
        "reports miss 500 ms on the CPU of the web process, and ingest beside them waits",
    ),
    Limit(
        "partitions at the two ends of a window",
        seconds_of_edges,
        GOAL_SECONDS,
        "s",
        "reports of all countries miss 500 ms, the more shards one country has",
    ),
    Limit(
        "shards of the largest country",
        unbounded_shards,
        MOST_SHARDS,
        "shards",
        "partitions grow beyond 100 MB; compaction and reads of them slow down",
    ),
    Limit("CPU of a web process", web_cores, 0.7, "cores", "requests are refused with 503: start more processes"),
    Limit("threads of all web processes", threads_busy, 1, "", "requests are refused with 503: start more processes"),
    Limit(
        "statements of a group commit",
        statements_of_group,
        STATEMENTS_PER_WRITE,
        "statements",
        "batches wait for each other, then 503: start more processes",
    ),
    Limit(
        "compaction of a node",
        compaction,
        COMPACTION_MIB * MIB,
        "bytes/s",
        "pending compactions grow: raise `compaction_throughput` or add nodes",
    ),
)


MOST_EVENTS = 1e8  # beyond any traffic: where a bound is met that late is not worth telling


def breaks_at(limit: Limit, load: Load) -> float:
    """Return the events a second of such a traffic at which the bound is met, to a thousandth."""
    low, high = 1.0, MOST_EVENTS * 1.01
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        if limit.demand(load.times(middle / load.events_per_second)) <= limit.bound:
            low = middle
        else:
            high = middle
    return low


# --- The page ---------------------------------------------------------------------------------------------------------

Formula = Callable[..., float]
FIGURES: dict[str, Sequence[tuple[str, Formula, str]]] = {
    "Traffic and writes": (
        ("starts a second", starts, ""),
        ("ends a second", ends, ""),
        ("late starts a second", late_starts, ""),
        ("starts a second of the largest country", starts_of_largest, ""),
        ("requests a second", requests, ""),
        ("group commits a second, each one logged batch", group_commits, ""),
        ("statements a second", statements, ""),
        ("statements of a group commit", statements_of_group, ""),
        ("requests with late starts a second", requests_with_late, ""),
        ("markers a second, one at a time of a process", marker_commits, ""),
        ("mutations a second of session_by_country, before copies", country_updates, ""),
    ),
    "Tables": (
        ("session_by_country: rows a second", starts, ""),
        ("session_by_country: shards of the largest country", shards_of_largest, ""),
        ("session_by_country: its partition of an hour", largest_start_partition, "bytes"),
        ("session_by_country: partitions a day", start_partitions, ""),
        ("session_by_player_id: updates a second", lambda load: load.events_per_second, ""),
        ("session_by_player_id: a player's partition of a year", session_partition, "bytes"),
        ("completed_session_by_player_id: rows a second", ends, ""),
        ("completed_session_by_player_id: a player's partition of a year", completed_partition, "bytes"),
        ("these three: bytes a second, before copies", session_bytes, "bytes"),
        ("country_hour: rows a second", index_rows, ""),
        ("country_hour: a day's partition", index_partition, "bytes"),
        ("start_count: rows a second", count_rows, ""),
        ("start_count: bytes a second, before copies", count_bytes, "bytes"),
        ("start_count: the minutes of a country and hour", minutes_text, "bytes"),
        ("start_count: the hours of a day, one cell", day_text, "bytes"),
        ("start_count: a day's partition", count_partition, "bytes"),
        ("late_write: rows a second", marker_commits, ""),
        ("late_write: bytes a second, before copies", marker_bytes, "bytes"),
        ("late_write: a slot's partition", marker_partition, "bytes"),
    ),
    "Nodes, disk, compaction": (
        ("disk of session_by_country", start_disk, "bytes"),
        ("disk of the two tables of players", player_disk, "bytes"),
        ("disk of start_count and country_hour", count_disk, "bytes"),
        ("disk of late_write", marker_disk, "bytes"),
        ("nodes by disk", nodes_by_disk, ""),
        ("nodes by the CPU of writes", nodes_by_cpu_of_writes, ""),
        ("nodes by the CPU of writes and of counting again", nodes_by_cpu, ""),
        ("nodes", nodes, ""),
        ("written by a node, a second", written_by_node, "bytes"),
        ("how often a row is written again", levels, ""),
        ("compaction of a node, a second (Cassandra's default bound is 64 MiB)", compaction, "bytes"),
        ("rows that expire a second", expiring_rows, ""),
        ("expired rows in a player's partition (a read fails at 100,000)", expired_of_player, ""),
    ),
    "Counting again what came late": (
        ("minutes of countries written late, a second", cells_written_late, ""),
        ("hours of countries written late, a second", hours_written_late, ""),
        ("rows counted again, a second", rows_counted_again, ""),
        ("statements for them, a second", counting_statements, ""),
        ("CPU for them on one replica, seconds a second", counting_seconds, ""),
    ),
    "What every report of starts up to now reads": (
        ("slots", slots_read, ""),
        ("markers in them", markers_read, ""),
        ("minutes in those", marker_cells_read, ""),
        ("starts of the present hour", rows_of_present, ""),
        ("of them, of the largest country", rows_of_present_of_largest, ""),
        ("partitions at the two ends of the window", edge_partitions, ""),
        ("statements for these", edge_statements, ""),
    ),
    "An hour that has ended, the largest country": (
        ("one statement takes (Cassandra ends it after 2 s)", seconds_of_hour, "s"),
        ("and brings to one node", bytes_of_hour, "bytes"),
    ),
    "Memory": (
        ("web processes of a machine", machine_memory, "bytes"),
        ("a report of all countries, with the newest 10 of each", report_bytes, "bytes"),
        ("Redis", redis_memory, "bytes"),
    ),
}
REPORTS: Sequence[tuple[str, Callable[[Load], Reads]]] = (
    ("all countries, 1 h", partial(reads_of_starts, days=1, days_of_edges=1)),
    ("all countries, 24 h", partial(reads_of_starts, days=2)),
    ("all countries, 720 h", partial(reads_of_starts, days=31)),
    ("all countries, a year", partial(reads_of_starts, days=367)),
    ("the largest country, 24 h", partial(reads_of_starts, days=2, of_all=False)),
    ("a player", reads_of_player),
)


def tables(load: Load) -> str:
    """Return everything as Markdown."""
    options = ", ".join(
        f"{field.name.replace('_', ' ')} {getattr(load, field.name):,}" for field in dataclasses.fields(load)
    )
    parts = [wrapped(f"For: {options}."), "### Constants", table(("what", "value", "where it comes from"), constants())]
    for title, figures in FIGURES.items():
        rows = [(what, formatted(formula(load), unit), formula_of(formula)) for what, formula, unit in figures]
        parts += [f"### {title}", table(("what", "figure", "formula"), rows)]
    parts += ["### What breaks first", table(("what", "asked", "bound", "met at events/s", "then"), limits(load))]
    parts += ["### Reads of a report, once, at one replica", table(READS_TITLES, reads(load))]
    return "\n\n".join(parts) + "\n"


READS_TITLES = (
    "report",
    "start_count",
    "country_hour",
    "late_write",
    "session_by_country",
    "by player",
    "rows",
    "bytes",
)


def constants() -> Iterator[Sequence[str]]:
    """The rows of the constants."""
    for one in globals().values():
        if isinstance(one, Constant):
            yield one.what, f"{one.value:,g} {one.unit}".strip(), one.source


def limits(load: Load) -> Iterator[Sequence[str]]:
    """The rows of what has a bound: what is met first comes first."""
    for limit in sorted(LIMITS, key=lambda one: breaks_at(one, load)):
        asked, bound = (formatted(value, limit.unit) for value in (limit.demand(load), limit.bound))
        met = breaks_at(limit, load)
        yield limit.what, asked, bound, formatted(met, "") if met < MOST_EVENTS else "out of sight", limit.then


def reads(load: Load) -> Iterator[Sequence[str]]:
    """The rows of what reports read."""
    for report, ask in REPORTS:
        *numbers, size = ask(load)
        yield report, *(formatted(number, "") for number in numbers), formatted(size, "bytes")


def formula_of(formula: Formula) -> str:
    """Return what stands in its docstring."""
    return (formula.__doc__ or "one row for each event").replace(" x ", " \N{MULTIPLICATION SIGN} ")


def formatted(value: float, unit: str) -> str:
    """Return a figure of three digits with its unit; bytes in kB to TB."""
    if unit.startswith("bytes"):
        size, prefix = next((size, prefix) for size, prefix in PREFIXES if value >= size or size == 1)
        return f"{_three_digits(value / size)} {prefix}B{unit.removeprefix('bytes')}"
    return f"{_three_digits(value)} {unit}".strip()


PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))


def _three_digits(value: float) -> str:
    if not value:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    return (
        f"{round(value, places):,.{max(0, places)}f}".rstrip("0").rstrip(".")
        if places > 0
        else f"{round(value, places):,.0f}"
    )


def with_tables(page: str, load: Load) -> str:
    """Return the page with the tables in their place."""
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    return f"{page[:begin]}\n{tables(load)}\n{page[end:]}"


def main() -> None:
    """Print the tables of a load, or write them into the page."""
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    for one in dataclasses.fields(Load):
        name = f"--{one.name.replace('_', '-')}"
        parser.add_argument(name, type=type(one.default), default=one.default, help=one.metadata["help"])
    parser.add_argument("--write", action="store_true", help=f"into docs/explanation/{PAGE.name}")
    given = vars(parser.parse_args())
    write, load = given.pop("write"), Load(**given)
    if write:
        PAGE.write_text(with_tables(PAGE.read_text(), load))
    else:
        print(tables(load))


if __name__ == "__main__":
    main()
