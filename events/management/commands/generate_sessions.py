"""``manage.py generate_sessions``: a dump of made-up events for demos, tests and benchmarks."""

import bz2
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError

from events.generating import generated_lines
from events.services import wall_clock_ms

MOST_DAYS = 7_300


class Command(BaseCommand):
    """The same seed at the same time of day gives the same events, moved to end as long before now."""

    help = "Write a JSON-lines dump of made-up session events: skewed countries, returning players, open sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=_positive, required=True, metavar="N", help="how many lines")
        parser.add_argument("--days", type=_days, default=30.0, metavar="D", help="over how many days (30)")
        parser.add_argument("--seed", type=int, default=1, help="another seed, other events (1)")
        parser.add_argument(
            "--output", default="-", metavar="FILE", help="a file, compressed when it ends in .bz2 (standard output)"
        )

    def handle(self, *, events: int, days: float, seed: int, output: str, **options: Any) -> None:
        lines = generated_lines(events=events, days=days, seed=seed, now_ms=wall_clock_ms())
        try:
            if output == "-":
                _write(sys.stdout, lines)
            elif output.endswith(".bz2"):
                with bz2.open(output, "wt", encoding="ascii") as packed:
                    _write(packed, lines)
            else:
                with open(output, "w", encoding="ascii") as plain:
                    _write(plain, lines)
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}.") from error


def _write(file: TextIO, lines: Any) -> None:
    for line in lines:
        file.write(line + "\n")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0
    if not 0 < days <= MOST_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 0 to {MOST_DAYS:,}")
    return days


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number <= 0:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
