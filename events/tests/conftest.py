"""Fixtures of the tests of the import, and of those that need the tables for themselves."""

import json
import os
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command

from conftest import drop_keyspace, manage
from events import erased_players, services
from events.models import TABLES
from store import cassandra


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Callable[..., tuple]:
    """Imports with one worker process; gives the exit status and the summary.

    The command runs in this process, where it need not be started: test_import_terminal.py starts it as users do.
    What comes from standard input needs a process that has it.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: bytes | None = None) -> tuple[int, dict]:
        command = ("import_sessions", *arguments, "--json", "--workers", "1")
        if stdin is None:
            status, printed, log = _call(command, capfd)
        else:
            ended = manage(*command, stdin=stdin, cwd=tmp_path)
            status, printed, log = ended.returncode, ended.stdout, ended.stderr
        assert "Traceback" not in log, log
        return status, json.loads(printed)

    return run


def _call(command: tuple[str, ...], capfd: pytest.CaptureFixture) -> tuple[int, str, str]:
    """The exit status, standard output and standard error of a command that runs in this process."""
    printed = StringIO()
    capfd.readouterr()
    try:
        call_command(*command, stdout=printed)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, printed.getvalue(), capfd.readouterr().err


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Calls an import, in this process, that ends before it begins; gives the error."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments: str) -> str:
        printed = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("import_sessions", *arguments, "--json", stdout=printed)
        summary = json.loads(printed.getvalue())
        assert (ended.value.code, summary["read"]) == (1, 0)
        return summary["error"]

    return refused


def environment_of(keyspace: str) -> dict[str, str]:
    """Of a command that works on a keyspace of its own."""
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "sessions_project.settings", "CASSANDRA_KEYSPACE": keyspace}


@pytest.fixture(scope="session")
def keyspace_of_upkeep() -> Iterator[str]:
    """One that no other test writes to: what is done to whole tables is done to all that is in them."""
    name = django_settings.CASSANDRA_KEYSPACE.replace("_test", "_upkeep_test")
    synced = manage("sync_cassandra", "--wait", "60", env=environment_of(name))
    assert synced.returncode == 0, synced.stderr
    yield name
    drop_keyspace(name)


@pytest.fixture
def own_keyspace(keyspace_of_upkeep: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its tables, empty, in place of those that all tests share."""
    settings.CASSANDRA_KEYSPACE = keyspace_of_upkeep
    monkeypatch.setattr(services, "_known_entries", set())
    erased_players.forget()
    cassandra.disconnect()  # with it goes what was prepared for the other keyspace
    for table in TABLES:
        if cassandra.execute(f"SELECT * FROM {{keyspace}}.{table.__table_name__} LIMIT 1", ()):
            cassandra.execute(f"TRUNCATE {{keyspace}}.{table.__table_name__}", ())
    yield keyspace_of_upkeep
    cassandra.disconnect()
    erased_players.forget()
