"""How long an audit of the store takes, how much memory, and what a service beside it notices.

Fills a keyspace with made-up events over two months by the project's own import (one that is there is filled up to
now), audits it alone, then serves it and asks uncached reports beside 100 events a second: with and without an audit at
its usual rate in turn, round after round. Adds the lines to RESULTS.md with ``--record``. Wants the stack of
``make up``, or CASSANDRA_HOSTS and REDIS_URL.
"""

import json
import shlex
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.late_starts import Kept, fill, yes_or_no
from benchmarks.markdown import table
from benchmarks.programs import OURS_UNCACHED, PROJECT, environment_with, started
from benchmarks.results import here_and_now, write_section
from benchmarks.store import opened_store
from benchmarks.traffic import FIGURES, POST, REPORTS, Onlooker, Question, Replies, Traffic, collect, wall_clock_ms
from events.domain import DAY_MS

DAYS, WINDOWS = 60, (1, 24, 168, 720)
# What the service may notice of an audit.
MOST_RATIO = 1.2
# All replies together, as if they were of one question.
MIX = ("the mix", 0)
WARM_UP_SECONDS = 5
SECONDS_BETWEEN_LOOKS = 0.1
ALONE_TITLES = ("rate", "rows", "seconds", "rows/s", "most MB", "wrong")
BESIDE_TITLES = ("report", "hours", "audit", *FIGURES, "p90 / none", "goal", "reached")


def main() -> None:
    arguments = parsed_arguments()
    command = f"`python -m benchmarks.audit {shlex.join(sys.argv[1:])}".strip()
    keyspace = f"audit_{arguments.events}"
    with opened_store() as store:
        fill(store, keyspace, Kept(arguments.events // 2, DAYS, WINDOWS), fresh=False)
        tables = {}
        if arguments.rates:
            tables["audit of the store"] = table(ALONE_TITLES, [alone(keyspace, rate) for rate in arguments.rates])
        if arguments.rounds:
            tables["audit beside a service"] = table(BESIDE_TITLES, list(beside(keyspace, arguments)))
    for title, lines in tables.items():
        print(lines, flush=True)
        if arguments.record:
            write_section(title, f"{command}`, {arguments.events:,} events, {here_and_now()}", lines)


def parsed_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--events", type=int, default=500_000, help="in the store")
    parser.add_argument("--rates", nargs="*", type=int, default=[10_000, 1_000_000], help="of the audits alone")
    parser.add_argument("--seconds", type=float, default=20, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3, help="of turns")
    parser.add_argument("--record", action="store_true", help="add the rows to benchmarks/RESULTS.md")
    return parser.parse_args()


def alone(keyspace: str, rate: int) -> Sequence[str]:
    """A line: how long an audit takes at a rate, and the most memory that it has."""
    most = 0
    began = time.monotonic()
    with audit(keyspace, f"--rate={rate}") as process:
        while process.poll() is None:
            with suppress(psutil.Error):  # it has ended just now
                most = max(most, process.memory_info().rss)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        report = json.loads(process.stdout.read())
    seconds = time.monotonic() - began
    rows = sum(report["rows"].values())
    wrong = sum(one["found"] for one in report["problems"])
    return f"{rate:,}", f"{rows:,}", f"{seconds:.0f}", f"{rows / seconds:,.0f}", f"{most / 1e6:.0f}", str(wrong)


@contextmanager
def audit(keyspace: str, *options: str) -> Iterator[psutil.Popen]:
    """An audit in a process of its own, which is ended in the end."""
    command = [sys.executable, str(PROJECT / "manage.py"), "audit_store", "--json", "--keyspace", keyspace, *options]
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_with(CASSANDRA_KEYSPACE=keyspace)
        process = psutil.Popen(
            command, cwd=Path(folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()


def beside(keyspace: str, arguments: Namespace) -> Iterator[Sequence[str]]:
    """A line for each question, without and with an audit."""
    taken: dict[str, dict[Question, Replies]] = {"no": {}, "yes": {}}
    with ExitStack() as running:
        url = running.enter_context(started(OURS_UNCACHED, keyspace=keyspace)).url
        traffic = running.enter_context(Traffic(url, span_ms=DAYS * DAY_MS, now_ms=wall_clock_ms))
        onlooker = Onlooker(url, windows=WINDOWS)
        onlooker.ask(seconds=2 * WARM_UP_SECONDS)
        for _ in range(arguments.rounds):
            for audited, replies in taken.items():
                with ExitStack() as turn:
                    if audited == "yes":
                        turn.enter_context(audit(keyspace))
                    onlooker.ask(seconds=WARM_UP_SECONDS)
                    traffic.taken()
                    collect(replies, onlooker.ask(seconds=arguments.seconds))
                    collect(replies, traffic.taken())
    for replies in taken.values():
        replies[MIX] = Replies()
        for question in replies.keys() - {MIX}:
            replies[MIX].add(replies[question])
    for question in [*((report, hours) for report in REPORTS for hours in WINDOWS), (POST, 0), MIX]:
        without = taken["no"][question].percentile(90)
        for audited, replies in taken.items():
            ratio = replies[question].percentile(90) / without
            reached = yes_or_no(ratio <= MOST_RATIO and not replies[question].refused)
            goal = f"ratio <= {MOST_RATIO}, no 503"
            yield (
                question[0],
                str(question[1] or ""),
                audited,
                *replies[question].figures(),
                f"{ratio:.2f}",
                goal,
                reached,
            )


if __name__ == "__main__":
    main()
