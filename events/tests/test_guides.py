"""docs/how-to: each command in a fence is run by a test, or its page says that it was not run."""

import json
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import call_command

from conftest import PROJECT
from events.domain import HOUR_MS
from events.services import record_events
from events.tests.test_moving_in import session
from events.upkeep import erasing, walk
from store import cassandra
from tests.test_documentation import EXAMPLES
from tests.test_keys_page import BLOCKS

PYTHON = ".venv/bin/python "
# Those that are run here, as they stand there.
OURS = "(audit_store|erase_players|export_player|generate_sessions|import_sessions dump)"
HERE = rf"{PYTHON}(-m benchmarks\.capacity|manage\.py {OURS}).*"
# Those that another test runs, in other words: which, and what of it says so.
ELSEWHERE = {
    r"make import .*": ("tests/test_makefile.py", '"import", f"VENV={tmp_path}"'),
    r"make helm": ("tests/helm/test_chart.py", "'make helm' runs it"),
    r"make load": ("tests/test_load.py", 'python("-m", "locustfiles"'),
    r"make drill": ("tests/faults/test_restore.py", "(``make drill``)"),
    r"nodetool snapshot .*": ("tests/faults/test_restore.py", 'nodetool("snapshot", "--tag"'),
    r"nodetool garbagecollect .*": ("tests/faults/test_restore.py", "nodetool(*GARBAGE_COLLECT"),
    r"nodetool import .*": ("tests/faults/test_restore.py", 'nodetool("import", KEYSPACE'),
    r".*manage.py sync_cassandra": ("tests/faults/conftest.py", 'manage("sync_cassandra"'),
    r".*manage.py import_sessions --from-keyspace .*": ("events/tests/test_moving_in.py", 'run("--from-keyspace"'),
    # By make test-docker, which builds the image.
    r"python3 -m venv .venv": ("docker/Dockerfile", "python -m venv"),
    r".venv/bin/pip install --require-hashes .*": ("docker/Dockerfile", "--require-hashes"),
}
# In the paragraph before or behind the fence.
SAYS_SO = re.compile(r"\bnot (been )?run\b|\bno test runs\b", re.IGNORECASE)
# Of a whole page: "Commands with `kubectl` and `helm` on this page were not run here."
SAYS_SO_OF_PROGRAMS = re.compile(r"Commands with ([^.]+?) on this page were not run here")


class Command(NamedTuple):
    """One of a guide, on one line, and the paragraphs around its fence."""

    page: str
    text: str
    around: str


def commands(page: Path) -> Iterator[Command]:
    text = page.read_text()
    for fence in re.finditer(r"^ *```(?:console|sh|bash)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        before, behind = text[: fence.start()].rstrip(), text[fence.end() :].lstrip()
        around = " ".join(f"{before.rpartition(chr(10) * 2)[2]}\n{behind.partition(chr(10) * 2)[0]}".split())
        for command in re.findall(r"^ *\$ ((?:.*\\\n)*.*)$", fence[1], re.MULTILINE):
            yield Command(page.name, " ".join(command.replace("\\\n", " ").split()), around)


GUIDES = sorted((PROJECT / "docs/how-to").glob("*.md"))
COMMANDS = [command for guide in GUIDES for command in commands(guide)]
EXAMPLES_RUN = " ".join(" ".join([*(command for command, _ in EXAMPLES), *(command for command, _ in BLOCKS)]).split())
EXAMPLES_RUN = EXAMPLES_RUN.replace("\\ ", "")


def is_run(command: Command) -> bool:
    if re.fullmatch(HERE, command.text) or command.text in EXAMPLES_RUN:
        return True
    return any(re.fullmatch(pattern, command.text) for pattern in ELSEWHERE)


def says_that_it_is_not(command: Command) -> bool:
    running = " ".join((PROJECT / "docs/how-to" / command.page).read_text().split())
    programs = {name for said in SAYS_SO_OF_PROGRAMS.findall(running) for name in re.findall(r"`(\w+)`", said)}
    return bool(SAYS_SO.search(command.around)) or command.text.split()[0] in programs


def test_every_command_of_a_guide_is_run_or_its_page_says_that_it_was_not() -> None:
    assert len(COMMANDS) > 40
    silent = [one for one in COMMANDS if not is_run(one) and not says_that_it_is_not(one)]
    assert [f"{one.page}: {one.text}" for one in silent] == []


def test_what_is_said_to_run_a_command_does() -> None:
    for pattern, (file, words) in ELSEWHERE.items():
        assert words in (PROJECT / file).read_text(), pattern
        assert any(re.fullmatch(pattern, one.text) for one in COMMANDS), f"no guide has it any more: {pattern}"


# --- Those that are run here ------------------------------------------------------------------------------------------

RUN_HERE: dict[str, list[str]] = {}
for _command in COMMANDS:
    if re.fullmatch(HERE, _command.text):
        RUN_HERE.setdefault(_command.page, []).append(_command.text)
# As the guides name them, or as bugs of clients do.
PLAYERS = ["eve", "bob", "zoe", "null"]
# A smaller dump says as much.
QUICKLY = {"--events 200000": "--events 200"}


@pytest.fixture
def folder(own_keyspace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now_ms: int, country: str) -> Path:
    """Where the commands find a file of players; the players are stored, and nothing is in flight."""
    monkeypatch.setattr(erasing, "DUE_AFTER_MS", 0)
    monkeypatch.setattr(walk, "RANGES", 4)
    monkeypatch.chdir(tmp_path)
    for player in PLAYERS:
        record_events(session(player, country, now_ms - HOUR_MS, uuid.uuid4()), now_ms=now_ms)
    (tmp_path / "players.txt").write_text("eve\nbob\n")
    return tmp_path


def run(command: str) -> str:
    """What it prints, as it stands there: in this process, or in one of its own when it is no command of Django."""
    for long, short in QUICKLY.items():
        command = command.replace(long, short)
    words = shlex.split(command.removeprefix(PYTHON))
    if words[0] == "-m":
        return subprocess.run([sys.executable, *words], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    words, target = (words[:-2], Path(words[-1])) if ">" in words else (words, None)
    printed = StringIO()
    call_command(*words[1:], stdout=printed)
    if target:
        target.write_text(printed.getvalue())
    return printed.getvalue()


def test_those_of_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the dump stands behind what reads it."""
    monkeypatch.chdir(tmp_path)
    reading, making = RUN_HERE["import.md"]
    run(making)
    assert re.search(r"stored\W+200\b", run(reading))


def test_those_of_erasing(folder: Path) -> None:
    for command in RUN_HERE["erase-player.md"]:
        run(command)
    assert json.loads((folder / "zoe.jsonl").read_text().splitlines()[-1])["rows"] == 3
    erased = [json.loads(line)["player_id"] for line in (folder / "erased.jsonl").read_text().splitlines()]
    assert sorted(erased) == ["bob", "eve"]
    left = cassandra.execute("SELECT DISTINCT player_id FROM {keyspace}.session_by_player_id", ())
    assert sorted(player for (player,) in left) == ["null", "zoe"]


@pytest.mark.parametrize("page", sorted(RUN_HERE.keys() - {"import.md", "erase-player.md"}))
def test_those_of_other_guides_end_well(page: str, folder: Path) -> None:
    for command in RUN_HERE[page]:
        run(command)
