"""``python -m benchmarks [QUESTION ...]``: measure, print, with --record write to RESULTS.md."""

import argparse
from collections.abc import Iterator, Sequence

from benchmarks import ingest, reads
from benchmarks.load import measure_load, measure_load_of_a_day
from benchmarks.measure import Durations, Row
from benchmarks.overload import measure_overload
from benchmarks.results import (
    LOAD,
    LOAD_DAY,
    LOAD_IMPORTING,
    LOADED_STORES,
    Run,
    goals,
    medians,
    record,
    record_load,
    record_overload,
)
from benchmarks.wrk import require_wrk

OVERLOAD = "overload"
QUESTIONS = ("ingest", *reads.QUESTIONS, OVERLOAD, LOAD, LOAD_IMPORTING, LOAD_DAY)
OVERLOAD_CLIENTS, OVERLOAD_SECONDS = 200, 60
# What `make load` does unless options say otherwise.
LOAD_USERS, LOAD_SECONDS = 20, 60
# Reads store nothing and are steady at once.
INGEST_SECONDS, READ_SECONDS = Durations(warm_up=2, saturated=8, half=4), Durations(warm_up=1, saturated=5, half=3)


def main() -> None:
    """Measure one question after the other; the tables of each follow it."""
    arguments = parser().parse_args()
    require_wrk()
    for question in arguments.questions or QUESTIONS:
        print(f"\n{question}:", flush=True)
        if question in LOADED_STORES:
            load(question, recorded=arguments.record)
        elif question == OVERLOAD:
            overloaded(recorded=arguments.record)
        else:
            compare(question, arguments.programs, rounds=arguments.rounds, recorded=arguments.record)


def overloaded(*, recorded: bool) -> None:
    """More clients than can be served, with and without a bound on the queue."""
    lines = []
    for line in measure_overload(clients=OVERLOAD_CLIENTS, seconds=OVERLOAD_SECONDS):
        print(*line, flush=True)
        lines.append(line)
    if recorded:
        record_overload(lines, seconds=OVERLOAD_SECONDS)


def load(question: str, *, recorded: bool) -> None:
    """The load test (a mix of batches and reports) on one of LOADED_STORES."""
    if question == LOAD_DAY:
        lines, kept = measure_load_of_a_day(users=LOAD_USERS, seconds=LOAD_SECONDS)
    else:
        lines, kept = measure_load(users=LOAD_USERS, seconds=LOAD_SECONDS, importing=question == LOAD_IMPORTING)
    if recorded:
        record_load(question, lines, users=LOAD_USERS, seconds=LOAD_SECONDS)
    if not kept:
        raise SystemExit(1)


def compare(question: str, programs: Sequence[str] | None, *, rounds: int, recorded: bool) -> None:
    """All programs of one question, in turn; then the medians and what of the goals is reached."""
    rows = []
    for row in measure(question, programs, rounds=rounds):
        print(row, flush=True)
        rows.append(row)
    run = Run.now(question, rows)
    print("", medians(run), "", goals(run), sep="\n", flush=True)
    if recorded:
        record(run)


def measure(question: str, programs: Sequence[str] | None, *, rounds: int) -> Iterator[Row]:
    """The rows of one question, as they come."""
    if question == "ingest":
        chosen = programs or [program.name for program in ingest.PROGRAMS]
        return ingest.measure_ingest(chosen, rounds=rounds, durations=INGEST_SECONDS)
    chosen = programs or [program.name for program in reads.PROGRAMS]
    return reads.measure_reads(question, chosen, rounds=rounds, durations=READ_SECONDS)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    whole.add_argument("questions", nargs="*", choices=[[], *QUESTIONS], help="default: all")
    whole.add_argument("--rounds", type=int, default=3)
    whole.add_argument("--programs", nargs="+", metavar="NAME", help="default: floor, ours, and others' ways")
    whole.add_argument("--record", action="store_true", help="add the rows to benchmarks/RESULTS.md")
    return whole


if __name__ == "__main__":
    main()
