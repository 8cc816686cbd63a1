"""manage.py shows what there is to do here, and says what to do instead of what cannot work."""

import re

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
