"""Which version the tables have: a release says so when it is not its own, and works on those of a later one."""

from collections.abc import Iterator
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from rest_framework.test import APIClient

from access.models import ApiKey
from events.models import SCHEMA_VERSION, TABLES, VERSION_COMMENT, VERSION_TABLE, schema_version_of
from sessions_project import startup
from store import cassandra

# What each version has added. Once a version is released, its part stays as it is.
ADDED = {
    1: {
        "session_by_country": {"country", "hour", "shard", "ts", "session_id", "player_id"},
        "session_by_player_id": {"player_id", "session_id", "country", "started_at", "ended_at"},
        "completed_session_by_player_id": {"player_id", "ended_at", "session_id"},
        "country_hour": {
            *("day", "hour", "country", "shards", "touched", "starts", "counted", "minutes"),
            *("day_touched", "day_starts", "day_counted"),
        },
    },
    2: {
        "start_count": {"day", "hour", "country", "last_slot", "minutes", "day_last_slot", "day_hours"},
        "late_write": {"slot", "writer", "version", "cells"},
        "erased_player": {"bucket", "player_id", "until", "requested_at", "requested_by", "state", "changes"},
        "api_key": {
            *("bucket", "key_id", "digest", "scopes", "name", "created_at", "expires_at", "revoked_at"),
            "events_per_second",
        },
    },
}


def test_a_column_is_added_with_another_version_and_none_is_taken_away() -> None:
    expected: dict[str, set[str]] = {}
    for added in ADDED.values():
        for table, columns in added.items():
            expected[table] = expected.get(table, set()) | columns
    there = {model.__table_name__: {*model._columns} for model in (*TABLES, ApiKey)}
    assert there == expected, "say in ADDED what the next release adds; raise SCHEMA_VERSION once for each release"
    assert max(ADDED) == SCHEMA_VERSION


pytestmark = pytest.mark.usefixtures("each_look_is_new")


def alter_version(version: int | None) -> None:
    """Have the tables tell another version; None: as those of release 1.0."""
    comment = "" if version is None else VERSION_COMMENT.format(version)
    cassandra.connect()
    connections["cassandra"].connection.session.execute(
        f"ALTER TABLE {settings.CASSANDRA_KEYSPACE}.{VERSION_TABLE.__table_name__} WITH comment = '{comment}'"
    )


def stored_version() -> int:
    return schema_version_of(cassandra.table_comments()[VERSION_TABLE.__table_name__])


@pytest.fixture(autouse=True)
def _own_version_again() -> Iterator[None]:
    yield
    alter_version(SCHEMA_VERSION)


def synced() -> str:
    call_command("sync_cassandra", stdout=(output := StringIO()))
    return output.getvalue()


@pytest.mark.parametrize("former", [None, SCHEMA_VERSION - 1])
def test_tables_of_an_earlier_release_are_named_until_they_are_synced(api: APIClient, former: int | None) -> None:
    alter_version(former)
    reply = api.get("/readyz")
    needs = f"the tables have schema version {SCHEMA_VERSION - 1}, and this release needs {SCHEMA_VERSION}"
    assert (reply.status_code, reply.json()["checks"]["cassandra"]) == (503, f"{needs}; run 'manage.py sync_cassandra'")
    synced()
    assert stored_version() == SCHEMA_VERSION
    assert api.get("/readyz").json()["checks"]["cassandra"] == "ok"


def test_tables_of_a_later_release_will_do_and_are_named(api: APIClient) -> None:
    alter_version(SCHEMA_VERSION + 1)
    later = (
        f"the tables are of a later release: schema version {SCHEMA_VERSION + 1}, and this one knows {SCHEMA_VERSION}"
    )
    reply = api.get("/readyz")
    assert (reply.status_code, reply.json()["checks"]["cassandra"]) == (200, f"ok; {later}")
    assert f"ready; {later}" in startup.startup_report()


def test_an_earlier_release_leaves_the_tables_of_a_later_one_alone() -> None:
    alter_version(SCHEMA_VERSION + 1)
    assert "Nothing was changed" in synced()
    assert stored_version() == SCHEMA_VERSION + 1
