"""manage.py shows what there is to do here, and says what to do instead of what cannot work."""

import os
import re
import signal
import subprocess
import sys

import pytest
from django.core.management import get_commands

from conftest import PROJECT, manage
from sessions_project.command_line import USELESS

OURS = {path.stem for path in PROJECT.glob("*/management/commands/[a-z]*.py")}


def test_help_shows_our_commands_first_with_what_they_do() -> None:
    ended = manage("help")
    assert ended.returncode == 0
    ours, others = ended.stdout.split("Commands of this service:\n")[1].split("\n\n", 1)
    shown = dict(line.split(maxsplit=1) for line in ours.splitlines())
    assert shown.keys() == OURS
    assert shown["sync_cassandra"].startswith("Create the keyspace and the tables")
    assert {"check", "shell", "spectacular"} <= set(others.split())


def test_every_command_is_shown_or_refused() -> None:
    shown = manage("help", "--commands").stdout.split()
    assert set(shown).isdisjoint(USELESS)
    assert {*shown, *USELESS} == get_commands().keys()


@pytest.mark.parametrize("arguments", [("migrate",), ("flush", "--no-input"), ("test",), ("help", "syncdb")])
def test_what_cannot_work_is_refused_with_what_to_do_instead(arguments: tuple[str, ...]) -> None:
    ended = manage(*arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    name = arguments[-1 if arguments[0] == "help" else 0]
    assert re.fullmatch(rf"manage.py {name} does not work here\. [^\n]*'(manage.py|make) \w+'[^\n]*\n", ended.stderr)


def test_our_commands_refuse_a_bad_setting_in_a_line() -> None:
    ended = manage("sync_cassandra", env={"PORT": "0", "DJANGO_SETTINGS_MODULE": "sessions_project.settings"})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "PORT is 0. Write 1 to 65535. (sessions_project.E018)\n"


@pytest.mark.parametrize(
    "command", ["help", "api_keys list --json", "api_keys --help", "generate_sessions --events 9000"]
)
def test_a_command_that_nobody_reads_ends_quietly(command: str) -> None:
    with run_in_shell(f"MANAGE {command}", stdout=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode in (0, 128 + signal.SIGPIPE)


@pytest.mark.parametrize("command", ["help", "api_keys list --json", "generate_sessions --events 9000"])
def test_a_full_disk_is_told_in_a_line(command: str) -> None:
    with run_in_shell(f"MANAGE {command} > /dev/full") as running:
        assert running.stderr.read() == "Standard output cannot be written: No space left on device.\n"
    assert running.returncode == 1


@pytest.mark.parametrize("command", ["help", "api_keys list --json", "generate_sessions --events 9"])
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(command: str, closed: str) -> None:
    with run_in_shell(f"MANAGE {command} {closed}") as running:
        assert not re.search("Traceback|Error", running.stderr.read())
    assert running.returncode == 0


def test_an_interrupted_command_says_so_in_a_line() -> None:
    """One that has no good order of its own to end in."""
    with run_in_shell("MANAGE sync_cassandra --wait 60", CASSANDRA_PORT="1", stdout=subprocess.PIPE) as running:
        assert running.stdout.readline().startswith("Waiting for Cassandra")
        running.send_signal(signal.SIGINT)
        assert running.stderr.read() == "Stopped.\n"
    assert running.returncode == 128 + signal.SIGINT


def run_in_shell(line: str, *, stdout: int = subprocess.DEVNULL, **environment: str) -> subprocess.Popen[str]:
    manage_py = f"exec {sys.executable} {PROJECT / 'manage.py'}"
    return subprocess.Popen(
        line.replace("MANAGE", manage_py),
        shell=True,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
