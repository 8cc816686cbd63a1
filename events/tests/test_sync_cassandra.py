"""manage.py sync_cassandra brings the tables of a previous version up to date."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections
from django_cassandra_engine.compat import management

from conftest import PROJECT, drop_keyspace, free_port, manage
from events.management.commands import sync_cassandra
from events.models import READ_OPTIONS, VERSION_TABLE
from store import cassandra
from tests.faults.proxy import Proxy

LATE_TABLE = VERSION_TABLE.__table_name__
SELECT_OPTIONS = """
    SELECT table_name, speculative_retry, additional_write_policy, read_repair
    FROM system_schema.tables WHERE keyspace_name = ?"""


def options() -> dict[str, dict[str, str]]:
    names = ("speculative_retry", "additional_write_policy", "read_repair")
    rows = cassandra.execute(SELECT_OPTIONS, (settings.CASSANDRA_KEYSPACE,))
    return {table: dict(zip(names, values, strict=True)) for table, *values in rows}


def test_the_options_of_reads_are_brought_up_to_date() -> None:
    table = next(iter(READ_OPTIONS)).__table_name__
    former = "speculative_retry = '99p' AND read_repair = 'BLOCKING'"
    connections["cassandra"].connection.session.execute(
        f"ALTER TABLE {settings.CASSANDRA_KEYSPACE}.{table} WITH {former}"
    )
    assert options()[table]["read_repair"] == "BLOCKING"
    for _ in range(2):
        call_command("sync_cassandra", stdout=StringIO())
        there = options()
        for model, wanted in READ_OPTIONS.items():
            assert there[model.__table_name__].items() >= wanted.items()


def test_the_second_time_nothing_is_altered(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("sync_cassandra", stdout=StringIO())
    session = connections["cassandra"].connection.session
    execute, altered = session.execute, []

    def noted(query: object, *arguments: object, **options: object) -> object:
        altered.extend(re.findall(r"ALTER TABLE.*", str(query)))
        return execute(query, *arguments, **options)

    monkeypatch.setattr(session, "execute", noted)
    call_command("sync_cassandra", stdout=StringIO())
    assert altered == []


def test_nodes_that_do_not_agree_on_the_tables_in_time_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under load: the driver then says that its picture of the tables is an old one."""
    cluster_class = type(connections["cassandra"].connection.cluster)
    refresh, asked = cluster_class.refresh_schema_metadata, []

    def late(*arguments: Any, **options: Any) -> None:
        asked.append(arguments)
        if len(asked) == 1:
            raise sync_cassandra.DriverException("Schema metadata was not refreshed. See log for details.")
        refresh(*arguments, **options)

    monkeypatch.setattr(cluster_class, "refresh_schema_metadata", late)
    call_command("sync_cassandra", wait=10, stdout=(printed := StringIO()))
    assert len(asked) > 1
    assert "Waiting for Cassandra at " in printed.getvalue()
    asked.clear()
    with pytest.raises(CommandError, match=r"not refreshed.*--wait 120"):
        call_command("sync_cassandra", stdout=StringIO())


def test_the_second_try_asks_for_as_many_copies_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def late(*arguments: Any, **_: Any) -> None:
        *_, copies = arguments
        asked.append(dict(copies))
        if len(asked) == 1:
            raise sync_cassandra.OperationTimedOut

    monkeypatch.setattr(management, "_create_keyspace", late)
    call_command("sync_cassandra", wait=10, stdout=StringIO())
    assert asked == [settings.REPLICATION_FACTORS] * 2


@pytest.mark.parametrize("name", [settings.CASSANDRA_KEYSPACE, LATE_TABLE], ids=["keyspace", "table"])
def test_what_was_created_and_is_not_seen_yet_is_waited_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under load: the driver gives up waiting for the nodes to agree, and cqlengine looks for the table at once."""
    tries = fails_once(monkeypatch, KeyError(name))
    call_command("sync_cassandra", wait=10, stdout=(printed := StringIO()))
    assert tries() > 1
    assert "Waiting for Cassandra at " in printed.getvalue()
    fails_once(monkeypatch, KeyError(name))
    with pytest.raises(CommandError, match=rf"no {name} yet.*--wait 120"):
        call_command("sync_cassandra", stdout=StringIO())


def test_another_missing_key_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_once(monkeypatch, KeyError("something else"))
    with pytest.raises(KeyError):
        call_command("sync_cassandra", wait=10, stdout=StringIO())


def test_what_somebody_else_creates_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the try before, of which the answer came too late."""
    error = sync_cassandra.AlreadyExists(settings.CASSANDRA_KEYSPACE, LATE_TABLE)
    tries = fails_once(monkeypatch, error)
    call_command("sync_cassandra", wait=10, stdout=StringIO())
    assert tries() > 1
    fails_once(monkeypatch, error)
    with pytest.raises(CommandError, match="Another sync_cassandra is running"):
        call_command("sync_cassandra", stdout=StringIO())


def fails_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Callable[[], int]:
    """The first table cannot be synced; returns how often the command has begun with it."""
    sync_table, first = management.sync_table, []

    def late(model: Any, **options: Any) -> None:
        if model.column_family_name().endswith(f".{LATE_TABLE}"):
            first.append(model)
            if len(first) == 1:
                raise error
        sync_table(model, **options)

    monkeypatch.setattr(management, "sync_table", late)
    return lambda: len(first)


def test_other_copies_than_are_asked_for_are_refused() -> None:
    ours = {"DJANGO_SETTINGS_MODULE": "sessions_project.settings"}
    ours["CASSANDRA_KEYSPACE"] = keyspace = f"copies_{uuid.uuid4().hex[:8]}"
    try:
        centre = settings.CASSANDRA_LOCAL_DATACENTER
        for copies, status in (("", 0), (f"{centre}=1", 0), (f"{centre}=3", 1), ("", 0)):
            ended = manage("sync_cassandra", env={**os.environ, **ours, "CASSANDRA_REPLICATION": copies})
            assert ended.returncode == status, ended.stderr
            if status:
                assert f"ALTER KEYSPACE {keyspace} WITH replication" in ended.stderr
                assert f"'{centre}': 3" in ended.stderr
    finally:
        drop_keyspace(keyspace)


def test_another_database_is_an_error_of_one_line() -> None:
    with pytest.raises(CommandError, match=r"'nothing' doesn't exist\. Leave --database out"):
        call_command("sync_cassandra", database="nothing", stdout=StringIO())


def test_another_data_centre_is_named() -> None:
    ours = {"DJANGO_SETTINGS_MODULE": "sessions_project.settings", "CASSANDRA_LOCAL_DATACENTER": "elsewhere"}
    ended = manage("sync_cassandra", env={**os.environ, **ours})
    assert ended.returncode == 1
    centre = settings.CASSANDRA_LOCAL_DATACENTER
    assert f"The nodes are in the data centre {centre}, and CASSANDRA_LOCAL_DATACENTER is elsewhere." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A node that does not answer: nothing listens where the proxy leads to."""
    proxy = Proxy(("127.0.0.1", free_port()))
    yield proxy
    proxy.close()


def test_it_waits_for_a_node_that_starts(start_process: Callable[..., subprocess.Popen[Any]], proxy: Proxy) -> None:
    ours = {"DJANGO_SETTINGS_MODULE": "sessions_project.settings", "CASSANDRA_PORT": str(proxy.port)}
    waiting = start_process(
        [sys.executable, "manage.py", "sync_cassandra", "--wait", "60"],
        env={**os.environ, **ours},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout.readline() == f"Waiting for Cassandra at 127.0.0.1:{proxy.port}, 60 s at most ...\n"
    proxy.target = ("127.0.0.1", settings.CASSANDRA_PORT)
    output, errors = waiting.communicate(timeout=60)
    assert (waiting.returncode, errors) == (0, "")
    assert "Waiting" not in output


def test_a_node_that_does_not_answer_is_an_error_of_one_line(proxy: Proxy) -> None:
    ours = {"DJANGO_SETTINGS_MODULE": "sessions_project.settings", "CASSANDRA_PORT": str(proxy.port)}
    ended = manage("sync_cassandra", "--wait", "1", env={**os.environ, **ours})
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"CommandError: Cassandra does not answer at 127.0.0.1:{proxy.port}: ")
    assert "do CASSANDRA_HOSTS and CASSANDRA_PORT name it?" in line
