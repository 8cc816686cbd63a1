"""Keyspaces for the benchmarks: one for each program, made by the service's own command, and what they hold."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cassandra.cluster import Cluster, Session
from cassandra.concurrent import execute_concurrent_with_args

from benchmarks.programs import PROJECT, environment_with
from store.token_ranges import token_ranges

# A COUNT of a whole table takes longer than Cassandra lets one read take; a slice of the ring does not.
SLICES = 256
COUNT_SECONDS = 60
COUNTS_IN_FLIGHT = 4
INSERTS_IN_FLIGHT = 200


def cassandra_port() -> int:
    """The port of the store that all programs use."""
    return int(os.environ.get("CASSANDRA_PORT") or "9042")


def redis_url() -> str:
    """The Redis that all programs use."""
    return os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"


class Store:
    """A session of the benchmark's own, beside those of the programs."""

    def __init__(self) -> None:
        hosts = (os.environ.get("CASSANDRA_HOSTS") or "127.0.0.1").split(",")
        self._cluster = Cluster(hosts, port=cassandra_port())
        self._session: Session = self._cluster.connect()
        self._session.default_timeout = COUNT_SECONDS

    def create(self, keyspace: str) -> None:
        """The service's tables, empty."""
        self.drop(keyspace)
        command = [sys.executable, "manage.py", "sync_cassandra"]
        environment = environment_with(CASSANDRA_KEYSPACE=keyspace)
        subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)

    def drop(self, keyspace: str) -> None:
        self._session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")

    def execute(self, cql: str) -> list[Any]:
        """The rows of a statement."""
        return list(self._session.execute(cql))

    def insert(self, cql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement with each of these values, many at a time."""
        answers = execute_concurrent_with_args(
            self._session, self._session.prepare(cql), rows, concurrency=INSERTS_IN_FLIGHT, results_generator=True
        )
        for _ in answers:
            pass

    def sessions_in(self, keyspace: str) -> int:
        """How many rows the table of sessions holds: one for each event when every session is new."""
        return self.rows_in(keyspace, "session_by_player_id")

    def rows_in(self, keyspace: str, table: str) -> int:
        """How many rows a table of players' partitions holds."""
        count = self._session.prepare(
            f"SELECT COUNT(*) FROM {keyspace}.{table} WHERE token(player_id) > ? AND token(player_id) <= ?"
        )
        answers = execute_concurrent_with_args(self._session, count, token_ranges(SLICES), concurrency=COUNTS_IN_FLIGHT)
        return sum(answer.result_or_exc.one()[0] for answer in answers)

    def close(self) -> None:
        self._cluster.shutdown()


@contextmanager
def opened_store() -> Iterator[Store]:
    """A session while it is needed."""
    store = Store()
    try:
        yield store
    finally:
        store.close()
