"""A driver session as small as it can be, for the service's own statements: same tables, timestamps, times to live."""

import os

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import PreparedStatement, tuple_factory

KEYSPACE = os.environ["CASSANDRA_KEYSPACE"]
RETENTION_SECONDS = 31_557_600
HOUR_MS = 3_600_000


def connect() -> Session:
    """A session at LOCAL_QUORUM whose rows are tuples."""
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc="datacenter1")),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        row_factory=tuple_factory,
    )
    hosts = os.environ.get("CASSANDRA_HOSTS", "127.0.0.1").split(",")
    port = int(os.environ.get("CASSANDRA_PORT", "9042"))
    return Cluster(hosts, port=port, execution_profiles={EXEC_PROFILE_DEFAULT: profile}).connect()


def prepare(session: Session, cql: str) -> PreparedStatement:
    """One of the service's statements, prepared for this program's keyspace."""
    return session.prepare(cql.replace("{keyspace}", KEYSPACE))
