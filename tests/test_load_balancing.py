"""Which nodes a statement is sent to, with the driver's own ring of three; no node is asked."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace

import pytest
from cassandra.cluster import Cluster, ResponseFuture
from cassandra.connection import DefaultEndPoint
from cassandra.metadata import KeyspaceMetadata
from cassandra.policies import DCAwareRoundRobinPolicy, SimpleConvictionPolicy
from cassandra.pool import Host
from cassandra.query import SimpleStatement

from store import load_balancing
from store.load_balancing import ResponsiveNodesFirst

DATACENTER, KEYSPACE = "datacenter1", "routed"
PLANS = 200

Plan = Callable[[], Iterator[Host]]


class Connected:
    """What the driver's session knows of its connections."""

    def __init__(self, hosts: list[Host]) -> None:
        self._pools = {host: SimpleNamespace(open_count=1) for host in hosts}

    def lose(self, host: Host) -> None:
        self._pools[host].open_count = 0


_networks = count()


@pytest.fixture
def hosts() -> list[Host]:
    """Three nodes that no other test knows."""
    network = next(_networks)
    return [
        Host(DefaultEndPoint(f"127.9.{network}.{number}"), SimpleConvictionPolicy, host_id=number)
        for number in (1, 2, 3)
    ]


@pytest.fixture
def connected(hosts: list[Host]) -> Connected:
    """To all nodes."""
    return Connected(hosts)


@pytest.fixture
def cluster(hosts: list[Host], connected: Connected) -> Cluster:
    """In which every node has a copy of every partition."""
    cluster = Cluster(protocol_version=4)
    cluster.sessions.add(connected)
    for host in hosts:
        host.set_location_info(DATACENTER, "rack1")
        host.set_up()
        cluster.metadata.add_or_return_host(host)
    cluster.metadata.keyspaces[KEYSPACE] = KeyspaceMetadata(
        KEYSPACE, True, "NetworkTopologyStrategy", {DATACENTER: "3"}
    )
    cluster.metadata.rebuild_token_map(
        "org.apache.cassandra.dht.Murmur3Partitioner", {host: [str(number)] for number, host in enumerate(hosts)}
    )
    return cluster


def plan_of(cluster: Cluster, *, probes_unresponsive: bool) -> Plan:
    policy = ResponsiveNodesFirst(DCAwareRoundRobinPolicy(local_dc=DATACENTER), probes_unresponsive=probes_unresponsive)
    policy.populate(cluster, cluster.metadata.all_hosts())
    statement = SimpleStatement("SELECT", keyspace=KEYSPACE)
    statement.routing_key = b"a partition"
    return lambda: policy.make_query_plan(KEYSPACE, statement)


@pytest.fixture
def plan(cluster: Cluster) -> Plan:
    """A new plan for the same partition."""
    return plan_of(cluster, probes_unresponsive=True)


def answer(*asked: Host, answered: Host | None) -> None:
    """A statement was sent to these nodes, one after the other, and one of them answered."""
    future = ResponseFuture.__new__(ResponseFuture)
    future.attempted_hosts, future.coordinator_host = list(asked), answered
    load_balancing.note_answer(future)


def test_every_node_comes_first_as_often(hosts: list[Host], plan: Plan) -> None:
    first = Counter(next(plan()) for _ in range(PLANS))
    assert set(first) == set(hosts)
    assert min(first.values()) > PLANS / 6


def test_the_second_try_goes_to_another_node_whatever_was_planned_in_between(hosts: list[Host], plan: Plan) -> None:
    for _ in range(PLANS):
        in_flight = plan()
        asked = [next(in_flight)]
        list(plan())
        asked += in_flight
        assert set(asked) == set(hosts)
        assert len(asked) == len(hosts)


def test_a_node_that_did_not_answer_goes_last_but_for_one_statement_in_a_second(hosts: list[Host], plan: Plan) -> None:
    unresponsive, other, _ = hosts
    answer(unresponsive, other, answered=other)
    assert all(list(plan())[-1] is unresponsive for _ in range(PLANS))
    time.sleep(1.05)
    first = [next(plan()) for _ in range(PLANS)]
    assert first.count(unresponsive) == 1


def test_a_statement_that_counts_is_not_spent_on_an_unresponsive_node(hosts: list[Host], cluster: Cluster) -> None:
    count_plan = plan_of(cluster, probes_unresponsive=False)
    unresponsive, other, _ = hosts
    answer(unresponsive, other, answered=other)
    time.sleep(1.05)
    assert all(list(count_plan())[-1] is unresponsive for _ in range(PLANS))


def test_a_node_that_answers_again_is_asked_like_the_others(hosts: list[Host], plan: Plan) -> None:
    unresponsive, other, _ = hosts
    answer(unresponsive, other, answered=other)
    answer(unresponsive, answered=unresponsive)
    assert {next(plan()) for _ in range(PLANS)} == set(hosts)


def test_a_node_that_was_asked_after_the_one_that_answered_is_not_blamed(hosts: list[Host], plan: Plan) -> None:
    slow, other, _ = hosts
    answer(slow, other, answered=slow)
    assert {next(plan()) for _ in range(PLANS)} == set(hosts)


def test_when_no_node_answers_all_are_still_planned(hosts: list[Host], plan: Plan) -> None:
    answer(*hosts, answered=None)
    assert set(plan()) == set(hosts)


def test_a_node_without_a_connection_goes_last(hosts: list[Host], plan: Plan, connected: Connected) -> None:
    unresponsive, other, unconnected = hosts
    answer(unresponsive, other, answered=other)
    connected.lose(unconnected)
    assert list(plan()) == [other, unresponsive, unconnected]


def test_without_any_connection_all_are_still_planned(hosts: list[Host], plan: Plan, connected: Connected) -> None:
    for host in hosts:
        connected.lose(host)
    assert set(plan()) == set(hosts)
