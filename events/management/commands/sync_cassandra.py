"""``manage.py sync_cassandra``: the keyspace and the tables as events/models.py has them."""

from django.db import connections
from django_cassandra_engine.management.commands import sync_cassandra

from events.models import READ_OPTIONS


class Command(sync_cassandra.Command):
    """The engine's command, and READ_OPTIONS, which it can give to a new table only: it quotes text twice."""

    help = "Create the keyspace and the tables, or bring them up to date. May be run at any time."

    def sync(self, alias: str) -> None:
        """Sync the database of this alias."""
        super().sync(alias)
        connection = connections[alias].connection
        for model, wanted in READ_OPTIONS.items():
            keyspace, table = model.column_family_name().split(".")
            there = connection.cluster.metadata.keyspaces[keyspace].tables[table].options
            changes = [f"{name} = '{value}'" for name, value in wanted.items() if there[name] != value]
            if changes:
                connection.session.execute(f"ALTER TABLE {keyspace}.{table} WITH {' AND '.join(changes)}")
