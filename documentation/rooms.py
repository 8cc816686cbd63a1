"""How large each room is: lines of code, its longest file and function, and its highest complexity."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from documentation.blocks import PROJECT

ROOMS = (
    "sessions_project",
    "dashboard",
    "reports",
    "events",
    "events/api",
    "events/importing",
    "events/counting",
    "events/upkeep",
    "events/management",
    "access",
    "caching",
    "web",
    "store",
    "metrics",
)
# What ruff says of every function that is more complex than the bound that it is given.
COMPLEXITY = re.compile(r"`(\w+)` is too complex \((\d+) > ")
TITLES = ("room", "lines", "longest file", "lines", "longest function", "lines", "most complex", "complexity")
NUMBERS = (1, 3, 5, 7)


class Room(NamedTuple):
    """Figures of a room; the rooms inside it have their own."""

    name: str
    lines: int
    longest_file: tuple[str, int]
    longest_function: tuple[str, int]
    most_complex: tuple[str, int]


def page() -> str:
    """Return the part of the architecture page: one row for each room."""
    rows = [TITLES, tuple(":---" if number not in NUMBERS else "---:" for number in range(len(TITLES)))]
    rows += [_row(room) for room in measured()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def measured() -> Iterator[Room]:
    """Yield the figures of each room, of its code without its tests."""
    complexity = _complexity()
    for name in ROOMS:
        files = list(_files(name))
        lines = {path: len(path.read_text().splitlines()) for path in files}
        longest = max(files, key=lambda path: lines[path])
        functions = {name: length for path in files for name, length in _functions(path)}
        yield Room(
            name,
            sum(lines.values()),
            (longest.name, lines[longest]),
            max(functions.items(), key=lambda one: one[1]),
            max((complexity[path] for path in files if path in complexity), key=lambda one: one[1]),
        )


def _row(room: Room) -> tuple[str, ...]:
    pairs = (room.longest_file, room.longest_function, room.most_complex)
    return (
        f"`{room.name}`",
        f"{room.lines:,}",
        *(text for name, number in pairs for text in (f"`{name}`", f"{number}")),
    )


def _files(room: str) -> Iterator[Path]:
    """Python files of a room, without those of its tests and of the rooms inside it."""
    inner = [PROJECT / other for other in ROOMS if other.startswith(f"{room}/")]
    for path in sorted((PROJECT / room).rglob("*.py")):
        if "tests" not in path.parts and not any(path.is_relative_to(other) for other in inner):
            yield path


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file, and how many lines it has."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            yield node.name, node.end_lineno - node.lineno + 1


def _complexity() -> dict[Path, tuple[str, int]]:
    """Return the most complex function of each file, by the rule that the checks use."""
    most: dict[Path, tuple[str, int]] = {}
    ruff = str(Path(sys.executable).with_name("ruff"))
    options = ["--select=C901", "--config=lint.mccabe.max-complexity=0", "--ignore-noqa", "--exit-zero"]
    command = [ruff, "check", *options, "--output-format=json", *sorted({room.split("/")[0] for room in ROOMS})]
    output = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for one in json.loads(output):
        if found := COMPLEXITY.match(one["message"]):
            path = Path(one["filename"])
            most[path] = max(most.get(path, ("", 0)), (found[1], int(found[2])), key=lambda pair: pair[1])
    return most
