"""How long reports take while starts come late, beside none that do.

Fills stores of a day, a month and a year by the project's own import (one that is there is filled up to now), sends
100 events a second to the service on each, of which some starts are late by various distributions, asks uncached
reports over several windows meanwhile, and prints their percentiles with the goals: without and with late starts in
turn, round after round. Then comes a burst, and a store into which many processes wrote late. Wants the stack of
``make up``, or CASSANDRA_HOSTS and REDIS_URL.
"""

import shlex
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.markdown import table
from benchmarks.programs import OURS_UNCACHED, PROJECT, environment_with, started
from benchmarks.reports_at_scale import manage
from benchmarks.results import here_and_now, write_section
from benchmarks.store import Store, opened_store
from benchmarks.traffic import (
    BURSTS,
    EXPONENTIAL,
    FIGURES,
    POST,
    REPORTS,
    UNIFORM,
    Lateness,
    Onlooker,
    Question,
    Replies,
    Traffic,
    collect,
    refused,
    slowest,
    wall_clock_ms,
)
from events.domain import DAY_MS, HOUR_MS

# The goals.
MOST_P90_MS, MOST_P90_MS_OF_A_YEAR, MOST_P90_MS_OF_A_POST = 100, 500, 500
MONTH_HOURS = 720
MOST_RATIO = 1.5
SECONDS_AFTER_BURST, MOST_MS_AFTER_BURST = 5, 500
MOST_RATIO_OF_WRITERS = 1.2

# Of an event in two a session starts.
EVENTS_PER_START = 2
STARTS_AT_ONCE, BURST = 2_000, 20_000
# A burst a minute is 33 late starts a second.
SECONDS_BETWEEN_BURSTS = 60
NONE = Lateness()
WRITERS = "writers"
FEW_WRITERS, MANY_WRITERS = 2, 2_000
WARM_UP_SECONDS = 3
# Less than this since the last import is not worth another one.
LEAST_GAP_HOURS = 1


class Kept(NamedTuple):
    """A store that is kept between runs: so many starts over so many days up to now, and the windows asked of it."""

    starts: int
    days: int
    windows: Sequence[int]


STORES = {
    "day": Kept(1_000_000, 1, (1, 24)),
    "month": Kept(5_000_000, 30, (1, 24, 168, 720)),
    "year": Kept(200_000, 365, (1, 24, 168, 720, 8784)),
}
STORE_OF_WRITERS = Kept(200_000, 30, (24, 168, 720))

GOAL_TITLES = ("goal", "reached")
TURN_TITLES = ("report", "hours", "late starts", "how late", *FIGURES, "p90 / none", *GOAL_TITLES)
BURST_TITLES = ("late starts", "sent in s", "slowest in 5 s", "slowest from then on", "503", *GOAL_TITLES)
WRITERS_TITLES = ("report", "hours", "writers", *FIGURES, "p90 / few writers", *GOAL_TITLES)


def main() -> None:
    arguments = parsed_arguments()
    command = f"`python -m benchmarks.late_starts {shlex.join(sys.argv[1:])}".strip()
    with opened_store() as store:
        for name in arguments.stores:
            measure = measured_writers(store, arguments) if name == WRITERS else measured(store, name, arguments)
            tables = []
            for one in measure:
                print(f"\n{name}:\n\n{one}", flush=True)
                tables.append(one)
            if arguments.record and tables:
                write_section(f"late starts: {name}", f"{command}` {here_and_now()}", *tables)


def parsed_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--stores", nargs="+", choices=[*STORES, WRITERS], default=["day"], help="what is asked")
    parser.add_argument("--late", nargs="+", type=float, default=[2, 20], metavar="N", help="late starts a second")
    parser.add_argument(
        "--how", nargs="+", choices=[UNIFORM, EXPONENTIAL, BURSTS], default=[UNIFORM], help="how late they are"
    )
    parser.add_argument("--seconds", type=float, default=12, help="of each turn")
    parser.add_argument("--rounds", type=int, default=2, help="of turns")
    parser.add_argument("--pause", type=float, default=4, help="seconds between turns, in which nothing comes late")
    parser.add_argument("--burst", type=int, default=BURST, help="late starts of the burst at the end; 0: none")
    parser.add_argument("--whole", action="store_true", help="all stores and distributions, three rounds: half an hour")
    parser.add_argument("--fresh", action="store_true", help="fill the stores anew")
    parser.add_argument("--fill-only", action="store_true", help="fill the stores and stop")
    parser.add_argument("--record", action="store_true", help="add the rows to benchmarks/RESULTS.md")
    arguments = parser.parse_args()
    if arguments.whole:
        arguments.stores, arguments.how, arguments.rounds = [*STORES, WRITERS], [UNIFORM, EXPONENTIAL, BURSTS], 3
    return arguments


def measured(store: Store, name: str, arguments: Namespace) -> Iterator[str]:
    """The tables of one store: of the turns, and of the burst."""
    kept, keyspace = STORES[name], f"late_{name}"
    fill(store, keyspace, kept, fresh=arguments.fresh)
    if arguments.fill_only:
        return
    with ExitStack() as running:
        url = running.enter_context(started(OURS_UNCACHED, keyspace=keyspace)).url
        traffic = running.enter_context(Traffic(url, span_ms=kept.days * DAY_MS, now_ms=wall_clock_ms))
        onlooker = Onlooker(url, windows=kept.windows)
        onlooker.ask(seconds=WARM_UP_SECONDS)
        time.sleep(arguments.pause)
        yield table(TURN_TITLES, measure_turns(traffic, onlooker, kept.windows, arguments))
        if arguments.burst:
            time.sleep(arguments.pause)
            yield table(BURST_TITLES, [measure_burst(traffic, onlooker, arguments)])


def fill(store: Store, keyspace: str, kept: Kept, *, fresh: bool) -> None:
    """Import made-up events up to now into a keyspace: all of them, or what its last hour is behind by."""
    newest_ms = None if fresh else newest_hour(store, keyspace)
    if newest_ms is None:
        store.create(keyspace)
        days = float(kept.days)
    else:
        manage("sync_cassandra", CASSANDRA_KEYSPACE=keyspace)
        days = (wall_clock_ms() - newest_ms - HOUR_MS) / DAY_MS
    if days * DAY_MS < LEAST_GAP_HOURS * HOUR_MS:
        return
    events = int(EVENTS_PER_START * kept.starts * days / kept.days)
    try:
        import_made_up(keyspace, events=events, days=days)
    except BaseException:
        store.drop(keyspace)
        raise


def import_made_up(keyspace: str, *, events: int, days: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dump = f"{folder}/dump.jsonl"
        made = (f"--events={events}", f"--days={days}", f"--seed={wall_clock_ms()}", f"--output={dump}")
        manage("generate_sessions", *made)
        manage("import_sessions", dump, f"--checkpoint={folder}/checkpoint", "--json", CASSANDRA_KEYSPACE=keyspace)


def newest_hour(store: Store, keyspace: str) -> int | None:
    """The beginning of the last hour with starts; None when the keyspace is not there or has none."""
    if not store.execute(f"SELECT * FROM system_schema.keyspaces WHERE keyspace_name = '{keyspace}'"):
        return None
    days = store.execute(f"SELECT DISTINCT toUnixTimestamp(day) FROM {keyspace}.country_hour")
    if not days:
        return None
    newest = max(day for (day,) in days)
    [(hour,)] = store.execute(f"SELECT toUnixTimestamp(max(hour)) FROM {keyspace}.country_hour WHERE day = {newest}")
    return int(hour)


def measure_turns(
    traffic: Traffic, onlooker: Onlooker, windows: Sequence[int], arguments: Namespace
) -> Iterator[Sequence[str]]:
    """A row for each report, window and lateness."""
    taken: dict[Lateness, dict[Question, Replies]] = {lateness: {} for lateness in latenesses(arguments)}
    for number in range(1, arguments.rounds + 1):
        for lateness, replies in taken.items():
            taken_now = turn(traffic, onlooker, lateness, seconds=arguments.seconds)
            collect(replies, taken_now)
            what = f"{number}: {lateness.starts:g} {lateness.how}".strip()
            print(f"{what}: slowest {slowest(taken_now):.0f} ms", file=sys.stderr, flush=True)
            time.sleep(arguments.pause)
    for report, hours in [*((report, hours) for report in REPORTS for hours in windows), (POST, 0)]:
        for lateness, replies in taken.items():
            yield turn_line((report, hours), lateness, replies, taken[NONE])


def latenesses(arguments: Namespace) -> Iterator[Lateness]:
    """None comes first, in every round."""
    yield NONE
    for how in arguments.how:
        if how == BURSTS:
            yield Lateness(STARTS_AT_ONCE, BURSTS)
        else:
            yield from (Lateness(rate, how) for rate in arguments.late if rate)


def turn(traffic: Traffic, onlooker: Onlooker, lateness: Lateness, *, seconds: float) -> dict[Question, Replies]:
    """What the replies take while starts come late so."""
    traffic.lateness = lateness
    if lateness.how == BURSTS:
        seconds = max(seconds, SECONDS_BETWEEN_BURSTS)
        traffic.burst(int(lateness.starts))
    else:
        onlooker.ask(seconds=WARM_UP_SECONDS)
    traffic.taken()
    taken = onlooker.ask(seconds=seconds)
    traffic.lateness = NONE
    collect(taken, traffic.taken())
    return taken


def turn_line(
    question: Question, lateness: Lateness, taken: Mapping[Question, Replies], without: Mapping[Question, Replies]
) -> Sequence[str]:
    report, hours = question
    replies = taken.get(question, Replies())
    ratio = replies.percentile(90) / without.get(question, Replies()).percentile(90)
    starts = f"{lateness.starts:,.0f} at once" if lateness.how == BURSTS else f"{lateness.starts:g}/s"
    most_ms = most_p90_ms(hours)
    goal = f"p90 < {most_ms} ms, no 503"
    reached = replies.percentile(90) < most_ms and not replies.refused
    if report != POST and lateness is not NONE:
        goal += f", ratio <= {MOST_RATIO}"
        reached = reached and ratio <= MOST_RATIO
    return (
        report,
        str(hours or ""),
        starts,
        lateness.how,
        *replies.figures(),
        f"{ratio:.2f}",
        goal,
        yes_or_no(reached),
    )


def most_p90_ms(hours: int) -> int:
    if not hours:
        return MOST_P90_MS_OF_A_POST
    return MOST_P90_MS if hours <= MONTH_HOURS else MOST_P90_MS_OF_A_YEAR


def measure_burst(traffic: Traffic, onlooker: Onlooker, arguments: Namespace) -> Sequence[str]:
    """The row of a burst, whose reports are asked from its last acknowledgement on."""
    took = traffic.burst(arguments.burst)
    at_first = onlooker.ask(seconds=SECONDS_AFTER_BURST)
    later = onlooker.ask(seconds=arguments.seconds)
    number = refused(at_first) + refused(later)
    reached = slowest(later) < MOST_MS_AFTER_BURST and not number
    goal = f"after {SECONDS_AFTER_BURST} s < {MOST_MS_AFTER_BURST} ms, no 503"
    slow = (f"{slowest(at_first):.0f}", f"{slowest(later):.0f}")
    return (f"{arguments.burst:,}", f"{took:.1f}", *slow, str(number), goal, yes_or_no(reached))


def measured_writers(store: Store, arguments: Namespace) -> Iterator[str]:
    """The table of two equal stores, into which few and many processes have written late, asked in turn."""
    keyspaces = {writers: f"late_writers_{writers}" for writers in (FEW_WRITERS, MANY_WRITERS)}
    for writers, keyspace in keyspaces.items():
        fill_as(store, keyspace, writers, fresh=arguments.fresh)
    if arguments.fill_only:
        return
    with ExitStack() as running:
        onlookers = {}
        for writers, keyspace in keyspaces.items():
            url = running.enter_context(started(OURS_UNCACHED, keyspace=keyspace)).url
            onlookers[writers] = Onlooker(url, windows=STORE_OF_WRITERS.windows)
            onlookers[writers].ask(seconds=WARM_UP_SECONDS)
        taken = asked_in_turn(onlookers, seconds=arguments.seconds * arguments.rounds)
    yield table(WRITERS_TITLES, writers_lines(taken))


def fill_as(store: Store, keyspace: str, writers: int, *, fresh: bool) -> None:
    """Fill a store, and write late into it as so many processes, unless that is there already."""
    is_new = fresh or newest_hour(store, keyspace) is None
    fill(store, keyspace, STORE_OF_WRITERS, fresh=fresh)
    if is_new:
        command = [sys.executable, "-m", "benchmarks.late_writers", str(writers)]
        subprocess.run(command, cwd=PROJECT, env=environment_with(CASSANDRA_KEYSPACE=keyspace), check=True)


def asked_in_turn(onlookers: Mapping[int, Onlooker], *, seconds: float) -> dict[int, dict[Question, Replies]]:
    """What the replies took, by number of writers."""
    taken: dict[int, dict[Question, Replies]] = {writers: {} for writers in onlookers}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for writers, onlooker in onlookers.items():
            collect(taken[writers], onlooker.ask_once())
    return taken


def writers_lines(taken: Mapping[int, Mapping[Question, Replies]]) -> Iterator[Sequence[str]]:
    goal = f"ratio <= {MOST_RATIO_OF_WRITERS}, no 503"
    for question in sorted(taken[FEW_WRITERS]):
        few = taken[FEW_WRITERS][question].percentile(90)
        for writers, of_writers in taken.items():
            replies = of_writers.get(question, Replies())
            ratio = replies.percentile(90) / few
            goal_and_reached = (goal, yes_or_no(ratio <= MOST_RATIO_OF_WRITERS and not replies.refused))
            report, hours = question
            yield (report, str(hours), f"{writers:,}", *replies.figures(), f"{ratio:.2f}", *goal_and_reached)


def yes_or_no(reached: bool) -> str:
    return "reached" if reached else "missed"


if __name__ == "__main__":
    main()
