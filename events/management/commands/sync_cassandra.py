"""``manage.py sync_cassandra``: the keyspace and the tables as events/models.py has them."""

from typing import Any

from cassandra import AlreadyExists, DriverException
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import ErrorMessage
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections
from django_cassandra_engine.management.commands import sync_cassandra

from events.models import READ_OPTIONS
from store import cassandra
from store.errors import StoreError


class Command(sync_cassandra.Command):
    """The engine's command, and READ_OPTIONS, which it can give to a new table only: it quotes text twice.

    It never changes how many copies there are: that takes a repair of every node.
    """

    help = (
        "Create the keyspace and the tables, or bring them and their options up to date. "
        "Run it in one place at a time, with every node up."
    )

    def handle(self, **options: Any) -> None:
        """Sync every database that has the engine."""
        try:
            cassandra.connect()
            super().handle(**options)
        except StoreError as error:
            raise CommandError(f"Cassandra does not answer: {error}") from error
        except AlreadyExists as error:
            raise CommandError("Another sync_cassandra is at work. When it has ended, run this again.") from error
        except (DriverException, NoHostAvailable, ErrorMessage) as error:
            raise CommandError(f"Cassandra refuses, or does not answer: {error}") from error

    def sync(self, alias: str) -> None:
        """Sync the database of this alias."""
        connection = connections[alias].connection
        refuse_other_copies(connection.cluster.metadata.keyspaces.get(settings.CASSANDRA_KEYSPACE))
        super().sync(alias)
        for model, wanted in READ_OPTIONS.items():
            keyspace, table = model.column_family_name().split(".")
            there = connection.cluster.metadata.keyspaces[keyspace].tables[table].options
            changes = [f"{name} = '{value}'" for name, value in wanted.items() if there[name] != value]
            if changes:
                connection.session.execute(f"ALTER TABLE {keyspace}.{table} WITH {' AND '.join(changes)}")


def refuse_other_copies(keyspace: Any) -> None:
    """CommandError when the keyspace is there with other copies than CASSANDRA_REPLICATION asks for."""
    if keyspace is None or not settings.REPLICATION_IS_GIVEN:
        return
    there = getattr(keyspace.replication_strategy, "dc_replication_factors", {})
    if {name: str(number) for name, number in there.items()} != settings.REPLICATION_FACTORS:
        wanted = ", ".join(f"'{name}': {number}" for name, number in settings.REPLICATION_FACTORS.items())
        raise CommandError(
            f"The keyspace {keyspace.name} has other copies ({keyspace.replication_strategy.export_for_schema()}) than "
            f"CASSANDRA_REPLICATION. To change them: ALTER KEYSPACE {keyspace.name} WITH replication = "
            f"{{'class': 'NetworkTopologyStrategy', {wanted}}}, then 'nodetool repair --full' on every node."
        )
