"""RESULTS.md: a section for each run with its raw rows, their medians and the goals; written and read here."""

import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import get_type_hints

import psutil

from benchmarks.markdown import table
from benchmarks.measure import Row
from benchmarks.overload import TITLES as OVERLOAD_TITLES
from benchmarks.programs import PROJECT

RESULTS = Path(__file__).with_name("RESULTS.md")
FLOOR, FLOOR_CACHED, OURS = "floor", "floor-cached", "ours"
LOAD, LOAD_IMPORTING, LOAD_DAY = "load", "load-importing", "load-day"
# What stands behind "the mix of make load ... on".
LOADED_STORES = {
    LOAD: "a store of 200,000 imported events",
    LOAD_IMPORTING: "a store of 200,000 imported events, while a dump is imported into it at full speed",
    LOAD_DAY: "a store with a million starts in the last day",
}
LOAD_TITLES = ("address", "requests", "p50_ms", "p90_ms", "p99_ms")
# What a table of medians shows, beside the ratio to the floor.
MEDIANS = ("requests_s", "events_s", "p50_ms", "p90_ms", "p99_ms", "half_p90_ms", "web_us", "jvm_us")
# Of each question: the program, the column, the program that it is divided by, and the least or the most of the ratio.
GOALS: dict[str, list[tuple[str, str, str, float, float]]] = {
    "ingest": [
        (OURS, "events_s", FLOOR, 0.85, 0),
        (OURS, "events_s", "fastapi", 1.0, 0),
        (OURS, "events_s", "flask", 40.0, 0),
        (OURS, "events_s", "flask-own", 40.0, 0),
        (OURS, "half_p90_ms", FLOOR, 0, 1.5),
        ("ours-late", "events_s", OURS, 0.9, 0),
    ],
    "cached": [
        (OURS, "requests_s", FLOOR, 0.5, 0),
        (OURS, "requests_s", "flask", 1.5, 0),
        (OURS, "requests_s", "flask-granian", 1.5, 0),
    ],
    "player": [
        (OURS, "requests_s", FLOOR_CACHED, 0.75, 0),
        (OURS, "half_p90_ms", FLOOR_CACHED, 0, 1.5),
        (OURS, "requests_s", "flask", 1.0, 0),
        (OURS, "requests_s", "flask-granian", 1.0, 0),
    ],
}


@dataclass(frozen=True)
class Run:
    """The rows of one question, and where they come from."""

    question: str
    description: str
    rows: Sequence[Row]

    @classmethod
    def now(cls, question: str, rows: Sequence[Row]) -> "Run":
        """A run that has just ended on this machine."""
        return cls(question, f"`python -m benchmarks {question}` {here_and_now()}", rows)

    def median(self, program: str, column: str) -> float:
        """Over the rounds of one program. Raises statistics.StatisticsError when there are none."""
        return float(statistics.median(getattr(row, column) for row in self.rows if row.program == program))

    def programs(self) -> list[str]:
        """In the order of their first row."""
        return list(dict.fromkeys(row.program for row in self.rows))


def here_and_now() -> str:
    """When a run ended, of which commit, on what machine."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'unknown'}, "
        f"{psutil.cpu_count()} cores, Python {platform.python_version()}."
    )


def record(run: Run) -> None:
    """Add the run to RESULTS.md in place of the last one of the same question and programs."""
    title = f"{run.question}: {', '.join(run.programs())}"
    write_section(title, run.description, raw_rows(run.rows), "Medians:", medians(run), goals(run))


def record_load(question: str, lines: Iterable[Sequence[str]], *, users: int, seconds: int) -> None:
    """Keep the percentiles of a load test, one of LOADED_STORES, in RESULTS.md."""
    what = f"The mix of `make load` with {users} users for {seconds} s on {LOADED_STORES[question]}"
    write_section(question, f"{what}, {here_and_now()}", table(LOAD_TITLES, lines))


def record_overload(lines: Iterable[Sequence[str]], *, seconds: int) -> None:
    """Keep what more clients than can be served see in RESULTS.md."""
    description = (
        f"`python -m benchmarks overload`: clients that honour Retry-After, {seconds} s a line, {here_and_now()}"
    )
    write_section("overload", description, table(OVERLOAD_TITLES, lines))


def loaded() -> tuple[str, list[list[str]]]:
    """The last load test of RESULTS.md: its sentence and its lines. Raises LookupError."""
    for section in re.split(r"^## ", RESULTS.read_text(), flags=re.MULTILINE):
        if section.startswith(f"{LOAD}\n"):
            return section.splitlines()[2], cells_in(section)
    raise LookupError("RESULTS.md has no load test; 'python -m benchmarks load --record' adds one.")


def write_section(title: str, *parts: str) -> None:
    """Put a section at the end of RESULTS.md, in place of an earlier one of the same title."""
    title = f"## {title}"
    section = "\n\n".join([title, *filter(None, parts)])
    text = RESULTS.read_text()
    earlier = re.compile(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", flags=re.DOTALL | re.MULTILINE)
    text = earlier.sub("", text).rstrip("\n")
    RESULTS.write_text(f"{text}\n\n{section}\n")


def recorded(question: str) -> Run:
    """The first run of a question in RESULTS.md that has both the floor and ours. Raises LookupError."""
    for section in re.split(r"^## ", RESULTS.read_text(), flags=re.MULTILINE):
        title, _, body = section.partition("\n")
        asked, _, programs = title.partition(": ")
        if asked == question and {FLOOR, OURS} <= {*programs.split(", ")}:
            return Run(question, body.strip().partition("\n")[0], rows_in(body))
    raise LookupError(f"RESULTS.md has no run of {question}; make bench adds one.")


def raw_rows(rows: Iterable[Row]) -> str:
    """Every row as a Markdown table; its columns are the fields of Row."""
    names = [field.name for field in fields(Row)]
    return table(names, ([written(getattr(row, name)) for name in names] for row in rows))


def rows_in(text: str) -> list[Row]:
    """The rows of the first table of ``text``."""
    kinds = get_type_hints(Row).values()
    lines = cells_in(text.partition("\n\nMedians")[0])
    return [Row(*(kind(cell) for kind, cell in zip(kinds, line, strict=True))) for line in lines]


def cells_in(text: str) -> list[list[str]]:
    """The cells of a Markdown table, without its titles."""
    _, _, *lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def medians(run: Run) -> str:
    """A Markdown table: each program's medians over the rounds, and its throughput against the floor's."""
    lines = []
    for program in run.programs():
        server = next(row.server for row in run.rows if row.program == program)
        ratio = run.median(program, "events_s") / run.median(FLOOR, "events_s") if FLOOR in run.programs() else 0.0
        figures = [run.median(program, column) for column in MEDIANS]
        lines.append([program, server, *(written(figure) for figure in [*figures, ratio])])
    return table(["program", "server", *MEDIANS, "of the floor"], lines)


def goals(run: Run) -> str:
    """A Markdown table: what we want to reach, and what the medians of this run say. Empty without the programs."""
    lines = []
    for program, column, other, least, most in GOALS[run.question]:
        if {program, other} <= set(run.programs()):
            ratio = run.median(program, column) / run.median(other, column)
            wanted = f"at least {least}" if least else f"at most {most}"
            kept = ratio >= least if least else ratio <= most
            lines.append([f"{column} of {program} / {other}", wanted, f"{ratio:.2f}", "yes" if kept else "no"])
    return table(["goal", "wanted", "measured", "reached"], lines) if lines else ""


def written(value: float | str) -> str:
    """A cell: numbers with as many places as they are worth."""
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
    return str(value)


def median_ms(ask: Callable[[int], object], times: int) -> float:
    """Of so many calls, each with a number of its own, from 1."""
    took = []
    for number in range(1, times + 1):
        began = time.perf_counter()
        ask(number)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)
