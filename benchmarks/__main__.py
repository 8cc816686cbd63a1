"""``python -m benchmarks [ingest | cached | player ...]``: measure, print, and with --record write to RESULTS.md."""

import argparse
from collections.abc import Iterator, Sequence

from benchmarks import ingest, reads
from benchmarks.measure import Durations, Row
from benchmarks.results import Run, goals, medians, record
from benchmarks.wrk import require_wrk

QUESTIONS = ("ingest", *reads.QUESTIONS)
# Reads keep nothing and settle at once.
INGEST_SECONDS, READ_SECONDS = Durations(warm_up=2, saturated=8, half=4), Durations(warm_up=1, saturated=5, half=3)


def main() -> None:
    """Measure one question after the other; the tables of each follow it."""
    arguments = parser().parse_args()
    require_wrk()
    for question in arguments.questions or QUESTIONS:
        print(f"\n{question}:", flush=True)
        rows = []
        for row in measure(question, arguments.programs, rounds=arguments.rounds):
            print(row, flush=True)
            rows.append(row)
        run = Run.now(question, rows)
        print("", medians(run), goals(run), sep="\n", flush=True)
        if arguments.record:
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
