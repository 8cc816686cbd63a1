"""``manage.py generate_sessions``: a dump of sample events for demos, tests and benchmarks."""

import bz2
import gzip
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError

from events.clock import wall_clock_ms
from events.importing.generator import generated_lines

# By the ending of the name, in any case.
PACKERS: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open}
# A file with such a name and plain lines in it would be taken for damaged.
OTHER_PACKINGS = ".7z .br .lz4 .lzma .parquet .rar .tar .tbz .tbz2 .tgz .txz .xz .z .zip .zst .zstd".split()
MOST_DAYS = 7_300


class Command(BaseCommand):
    """The same seed at the same time of day gives the same events, moved to end as long before now."""

    help = "Write a JSON-lines dump of sample session events: skewed countries, returning players, open sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=_positive, required=True, metavar="N", help="how many lines")
        parser.add_argument("--days", type=_days, default=30.0, metavar="D", help="over how many days (30)")
        parser.add_argument("--seed", type=int, default=1, help="another seed, other events (1)")
        parser.add_argument(
            "--output",
            type=_output,
            default="-",
            metavar="FILE",
            help="a file, packed when its name ends in .bz2 or .gz (standard output)",
        )

    def handle(self, *, events: int, days: float, seed: int, output: str, **options: Any) -> None:
        lines = generated_lines(events=events, days=days, seed=seed, now_ms=wall_clock_ms())
        if output == "-":
            _write(sys.stdout, lines)
            return
        try:
            with PACKERS.get(Path(output).suffix.lower(), open)(output, "wt", encoding="ascii") as file:
                _write(file, lines)
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}.") from error


def _write(file: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        file.write(line + "\n")


def _output(text: str) -> str:
    if Path(text).suffix.lower() in OTHER_PACKINGS:
        raise ArgumentTypeError(f"{text!r}: name it .bz2 or .gz to have it packed, or .jsonl for plain lines")
    return text


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
