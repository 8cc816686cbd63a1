"""``manage.py sync_cassandra``: the keyspace and the tables as events/models.py has them."""

import logging
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

from cassandra import AlreadyExists, DriverException, OperationTimedOut, Unavailable
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import ErrorMessage
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist
from django_cassandra_engine.management.commands import sync_cassandra

from events.importing.loader import readable_cause
from events.importing.terminal import say
from events.models import (
    READ_OPTIONS,
    SCHEMA_VERSION,
    VERSION_COMMENT,
    VERSION_TABLE,
    Table,
    schema_version_of,
)
from store import cassandra
from store.errors import StoreError, StoreUnavailable

# As long as the client leaves a store alone that it could not connect to.
SECONDS_BETWEEN_TRIES = cassandra.CONNECT_PAUSE_SECONDS
# What passes by itself while a node starts, or when what the try before has asked for is there at last.
NOT_YET = (StoreUnavailable, NoHostAvailable, OperationTimedOut, Unavailable, AlreadyExists)

LATER_TABLES = (
    "The tables are of a later release: schema version {}, and this one knows "
    f"{SCHEMA_VERSION}. Nothing was changed; this release works on them as they are."
)


class Command(sync_cassandra.Command):
    """The engine's command, and READ_OPTIONS, which it can give to a new table only: it quotes text twice.

    It never changes how many copies there are: that takes a repair of every node. Tables of a later release stay as
    they are, with the options that it has given them.
    """

    help = (
        "Create the keyspace and the tables, or bring them and their options up to date. "
        "Run it in one place at a time, with every node up."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--wait",
            type=float,
            default=0.0,
            metavar="SECONDS",
            help="keep trying for this long while Cassandra does not answer (default: try once)",
        )

    def handle(self, *, wait: float, **options: Any) -> None:
        """Sync every database that has the engine."""
        give_up_at = time.monotonic() + wait
        waits = False
        while error := self._failure(**options):
            if time.monotonic() >= give_up_at:
                raise CommandError(_message(error)) from error
            if not waits:
                say(self.stdout, f"Waiting for Cassandra at {_nodes()}, {wait:.0f} s at most ...\n")
            waits = True
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _failure(self, **options: Any) -> Exception | None:
        """Sync; return what may pass by itself. Raises CommandError for what does not."""
        try:
            with _silent_store():
                cassandra.connect()
            super().handle(**options)
        except NOT_YET as error:
            return error
        except ConnectionDoesNotExist as error:  # of --database
            raise CommandError(f"{error} Leave --database out.") from error
        except (StoreError, DriverException, ErrorMessage) as error:
            if type(error) is DriverException:  # the driver's own: nodes did not agree on the tables in time
                return error
            raise CommandError(
                f"Cassandra refuses: {_in_a_line(error)} Has CASSANDRA_USER the permissions of docs/how-to/operate.md?"
            ) from error
        return None

    def sync(self, alias: str) -> None:
        """Sync the database of this alias."""
        connection = connections[alias].connection
        # What a try before has created after all, or another command.
        connection.cluster.refresh_schema_metadata()
        keyspace = connection.cluster.metadata.keyspaces.get(settings.CASSANDRA_KEYSPACE)
        refuse_other_copies(keyspace)
        if (later := _schema_version(keyspace)) > SCHEMA_VERSION:
            say(self.stdout, f"{LATER_TABLES.format(later)}\n")
            return
        with _unchanged(connections[alias].settings_dict["OPTIONS"], "replication"), _created_are_found(alias):
            super().sync(alias)
        for model, wanted in READ_OPTIONS.items():
            _alter(connection, model, wanted)
        # Last: whoever reads it finds all that it stands for.
        _alter(connection, VERSION_TABLE, {"comment": VERSION_COMMENT.format(SCHEMA_VERSION)})


@contextmanager
def _created_are_found(alias: str) -> Iterator[None]:
    """Raise DriverException, which passes, for the KeyError when cqlengine looks a new table up at once.

    On a busy node the driver gives up waiting until the nodes agree on it, and knows nothing of it.
    """
    try:
        yield
    except KeyError as error:
        introspection: Any = connections[alias].introspection
        models = chain.from_iterable(introspection.cql_models.values())
        tables = {model.column_family_name(include_keyspace=False) for model in models}
        if error.args[0] not in {settings.CASSANDRA_KEYSPACE, *tables}:
            raise
        raise DriverException(f"It shows no {error.args[0]} yet, which was created") from error


@contextmanager
def _unchanged(options: dict[str, Any], name: str) -> Iterator[None]:
    """Give the engine a copy of an option: it takes words out, and the next try would create one copy of every row."""
    kept = options[name]
    options[name] = dict(kept)
    try:
        yield
    finally:
        options[name] = kept


def _schema_version(keyspace: Any) -> int:
    """Return the version of the tables that are there; 0: there are none."""
    table = keyspace and keyspace.tables.get(VERSION_TABLE.__table_name__)
    return schema_version_of(table.options.get("comment") or "") if table else 0


def _alter(connection: Any, model: Table, wanted: Mapping[str, str]) -> None:
    """Give the table of a model those options that it does not have."""
    keyspace, table = model.column_family_name().split(".")
    there = connection.cluster.metadata.keyspaces[keyspace].tables[table].options
    changes = [f"{name} = '{value}'" for name, value in wanted.items() if there[name] != value]
    if changes:
        connection.session.execute(f"ALTER TABLE {keyspace}.{table} WITH {' AND '.join(changes)}")


def refuse_other_copies(keyspace: Any) -> None:
    """Raise CommandError when the keyspace is there with other copies than CASSANDRA_REPLICATION asks for."""
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


def _nodes() -> str:
    return ", ".join(f"{host}:{settings.CASSANDRA_PORT}" for host in settings.CASSANDRA_HOSTS)


def _message(error: Exception) -> str:
    if isinstance(error, AlreadyExists):
        return "Another sync_cassandra is running. Run this again when it has ended."
    cause = readable_cause(error) if isinstance(error, StoreError) else _in_a_line(error).rstrip(".")
    return (
        f"Cassandra does not answer at {_nodes()}: {cause}. "
        "Is it up, and do CASSANDRA_HOSTS and CASSANDRA_PORT name it? --wait 120 waits for one that starts."
    )


def _in_a_line(error: Exception) -> str:
    return f"{' '.join(str(error).split())}."


@contextmanager
def _silent_store() -> Iterator[None]:
    """Leave out what the client logs of each attempt: the error of the command says it once, and what to do."""
    log = logging.getLogger(cassandra.__name__)
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(logging.NOTSET)
