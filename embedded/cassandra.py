"""One Cassandra node, or a ring of them, on the loopback addresses of this machine."""

import random
from collections.abc import Sequence
from pathlib import Path

import yaml
from cassandra import DriverException, RequestExecutionException
from cassandra.cluster import Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import WhiteListRoundRobinPolicy

from embedded.jars import class_path
from embedded.java import java_executable
from embedded.process import Daemon, port_is_taken

COORDINATES = "org.apache.cassandra:cassandra-all:5.0.9"
# What these are, and all that they need.
SUMS = Path(__file__).with_name("jars.sha256")
MAIN_CLASS = "org.apache.cassandra.service.CassandraDaemon"
# 7000 beside the usual 9042; moves with the CQL port, so that two stacks can stand side by side.
STORAGE_PORT_BELOW_CQL = 2042
READY_SECONDS = 180
JVM_SIZE_OF_ONE_NODE = ("-Xms1G", "-Xmx1G")
# Three nodes share the machine that one has to itself, and a ring is there to lose nodes: with the quick compiler alone
# a start takes half the CPU, 4.5 s, and a new node answers faster for its first minutes. What runs for long runs up to
# 1.4 times as fast with both compilers.
JVM_SIZE_IN_RING = ("-Xms512M", "-Xmx512M", "-XX:TieredStopAtLevel=1")

# Module access as in Cassandra's own conf/jvm17-server.options.
JVM_EXPORTS = (
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
)
JVM_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)
JVM_FLAGS = (
    "-ea",
    "-da:net.openhft...",
    "-XX:+UseG1GC",
    "-XX:+ParallelRefProcEnabled",
    "-XX:MaxGCPauseMillis=300",
    "-XX:+PerfDisableSharedMem",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xss256k",
    "-Djava.net.preferIPv4Stack=true",
    "-Djdk.attach.allowAttachSelf=true",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.useCacheForAllThreads=true",
    "-Dio.netty.allocator.maxOrder=11",
    # A node waits this long before it joins a ring; 30 s by default, for rings across an ocean.
    "-Dcassandra.ring_delay_ms=2000",
    # It then waits until gossip brings nothing new: at least 8 s by default, three times over when joining.
    "-Dcassandra.gossip_settle_min_wait_ms=1000",
    "-Dcassandra.gossip_settle_interval_ms=250",
)

LOGBACK = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %logger{36} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
  <logger name="org.apache.cassandra.db.ColumnFamilyStore" level="WARN"/>
  <!-- It warns of every count over several partitions. -->
  <logger name="org.apache.cassandra.cql3.statements.SelectStatement" level="ERROR"/>
</configuration>
"""


class CassandraNode(Daemon):
    """Node ``number`` (from 1) of a ring of ``nodes``, at 127.0.0.``number``."""

    def __init__(self, *, folder: Path, number: int = 1, nodes: int = 1, port: int = 9042) -> None:
        self.nodes = nodes
        self.port = port
        super().__init__(
            name=f"Cassandra node {number}",
            folder=folder / f"cassandra-{number}",
            address=(f"127.0.0.{number}", port),
            answers=lambda: answers_cql(self.address),
        )

    def start(self) -> None:
        """Start without waiting; a node that runs already is left alone."""
        if self.process() is not None:
            return
        jars = class_path(COORDINATES, remembered_in=self.folder.parent / "cassandra.classpath", sums=SUMS)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "cassandra.yaml").write_text(yaml.safe_dump(self.configuration()))
        (self.folder / "logback.xml").write_text(LOGBACK)
        self.launch(self.command(java_executable(), jars))

    def command(self, java: Path, jars: Sequence[Path]) -> list[str | Path]:
        """Return the command line of the JVM."""
        jamm = next(jar for jar in jars if jar.name.startswith("jamm-"))
        return [
            java,
            *(JVM_SIZE_OF_ONE_NODE if self.nodes == 1 else JVM_SIZE_IN_RING),
            f"-javaagent:{jamm}",
            *JVM_FLAGS,
            *(f"--add-exports={module}=ALL-UNNAMED" for module in JVM_EXPORTS),
            *(f"--add-opens={module}=ALL-UNNAMED" for module in JVM_OPENS),
            f"-Dcassandra.config=file://{self.folder}/cassandra.yaml",
            f"-Dlogback.configurationFile={self.folder}/logback.xml",
            f"-Dcassandra.storagedir={self.folder}",
            "-Dcassandra-foreground=yes",
            "-cp",
            ":".join(map(str, jars)),
            MAIN_CLASS,
        ]

    def configuration(self) -> dict[str, object]:
        """Return cassandra.yaml: Cassandra's defaults but for what is named here."""
        host, port = self.address
        storage_port = port - STORAGE_PORT_BELOW_CQL
        return {
            "cluster_name": "player sessions",
            "num_tokens": 16,
            "allocate_tokens_for_local_replication_factor": min(self.nodes, 3),
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"127.0.0.1:{storage_port}"}],
                }
            ],
            "listen_address": host,
            "rpc_address": host,
            "storage_port": storage_port,
            "native_transport_port": port,
            # As long as the service waits for a read that does not count. Of a table that is new to it, a node asks
            # another replica after half of it.
            "read_request_timeout": "2000ms",
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10000ms",
            # 5.0's own formats, and expiry dates after 2038.
            "storage_compatibility_mode": "NONE",
            "memtable": {"configurations": {"default": {"class_name": "TrieMemtable"}}},
            "sstable": {"selected_format": "bti"},
            # Ten events are a batch of 4 KiB, requests written together one of 20, an import's is up to 48, over many
            # partitions on purpose. It refuses more than 50 KiB, as everywhere.
            "batch_size_warn_threshold": "50KiB",
            "unlogged_batch_across_partitions_warn_threshold": 1000,
            # Dropping a keyspace here means it: no snapshots that fill a developer's disk.
            "auto_snapshot": False,
        }


def answers_cql(address: tuple[str, int]) -> bool:
    """Whether a query is answered there; an open port alone is not enough."""
    if not port_is_taken(address):
        return False
    host, port = address
    profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy([host]), request_timeout=5)
    cluster = Cluster(
        [host],
        port=port,
        execution_profiles={"default": profile},
        connect_timeout=2,
        control_connection_timeout=2,
        schema_metadata_enabled=False,
    )
    try:
        session = cluster.connect()
        return session.execute("SELECT release_version FROM system.local", execution_profile=profile).one() is not None
    except (NoHostAvailable, DriverException, RequestExecutionException, OSError):
        return False
    finally:
        cluster.shutdown()


def ring(*, folder: Path, nodes: int = 1, port: int = 9042) -> list[CassandraNode]:
    """Return the nodes of a ring, first the seed; none is started."""
    return [CassandraNode(folder=folder, number=number, nodes=nodes, port=port) for number in range(1, nodes + 1)]


def free_cassandra_port() -> int:
    """Return a CQL port whose storage port is free as well.

    Below the ports that the system gives to outgoing connections: one of those could take it while the node is down.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        if not any(port_is_taken(("127.0.0.1", one)) for one in (port, port - STORAGE_PORT_BELOW_CQL)):
            return port


def start_ring(members: Sequence[CassandraNode]) -> None:
    """Start every node in turn (a ring admits one joiner at a time) and wait until each answers CQL."""
    for node in members:
        node.start()
        node.wait_until_ready(seconds=READY_SECONDS)
