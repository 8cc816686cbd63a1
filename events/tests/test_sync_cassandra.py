"""manage.py sync_cassandra brings the tables of an earlier version up to date."""

from io import StringIO

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from events.models import READ_OPTIONS
from sessions_project import cassandra

SELECT_OPTIONS = """
    SELECT table_name, speculative_retry, additional_write_policy, read_repair
    FROM system_schema.tables WHERE keyspace_name = ?"""


def options() -> dict[str, dict[str, str]]:
    names = ("speculative_retry", "additional_write_policy", "read_repair")
    rows = cassandra.execute(SELECT_OPTIONS, (settings.CASSANDRA_KEYSPACE,))
    return {table: dict(zip(names, values, strict=True)) for table, *values in rows}


def test_how_tables_are_read() -> None:
    table = next(iter(READ_OPTIONS)).__table_name__
    earlier = "speculative_retry = '99p' AND read_repair = 'BLOCKING'"
    connections["cassandra"].connection.session.execute(
        f"ALTER TABLE {settings.CASSANDRA_KEYSPACE}.{table} WITH {earlier}"
    )
    assert options()[table]["read_repair"] == "BLOCKING"
    for _ in range(2):  # the second time there is nothing to do
        call_command("sync_cassandra", stdout=StringIO())
        there = options()
        for model, wanted in READ_OPTIONS.items():
            assert there[model.__table_name__].items() >= wanted.items()
