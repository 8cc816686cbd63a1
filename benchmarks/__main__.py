"""``python -m benchmarks``: see ``--help``."""

import argparse
import sys
from dataclasses import fields

from benchmarks.ingest import OTHER_SERVERS, PROGRAMS, measure_ingest
from benchmarks.measure import Durations, Row
from benchmarks.wrk import require_wrk


def main() -> None:
    arguments = parser().parse_args()
    require_wrk()
    known = {program.name: program for program in [*PROGRAMS, *OTHER_SERVERS]}
    chosen = [known[name] for name in arguments.programs or [program.name for program in PROGRAMS]]
    durations = Durations(saturated=arguments.seconds, half=arguments.half_seconds)
    print(" ".join(field.name for field in fields(Row)))
    for row in measure_ingest(chosen, rounds=arguments.rounds, durations=durations):
        print(row, flush=True)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    whole.add_argument("programs", nargs="*")
    whole.add_argument("--rounds", type=int, default=3)
    whole.add_argument("--seconds", type=int, default=8)
    whole.add_argument("--half-seconds", type=int, default=4)
    return whole


if __name__ == "__main__":
    sys.exit(main())
