"""Which node a statement is sent to, and to which it is sent again."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

from cassandra.cluster import Cluster, ResponseFuture
from cassandra.policies import LoadBalancingPolicy, TokenAwarePolicy
from cassandra.pool import Host
from cassandra.query import Statement

from store.circuit_breaker import Breaker

# A statement that has no answer by then is sent to another node as well: all of this service's are idempotent.
SECOND_TRY_SECONDS = 0.5
# Of one that counts: on a busy ring it takes long, and a second one beside it makes both slower.
SECOND_COUNT_SECONDS = 1.5

# The driver takes 5 to 10 s to notice an unresponsive node; until then a third of all statements would wait for it.
_nodes: defaultdict[Host, Breaker] = defaultdict(lambda: Breaker(pause_seconds=1.0))


class ResponsiveNodesFirst(TokenAwarePolicy):
    """Replicas at random, then the other nodes; those that left a statement unanswered last, until they answer.

    With ``probes_unresponsive`` one statement a second begins with such a node, to see whether it is back. Nodes
    without a connection come last: after a node has closed its connections, the driver lets each statement wait up to
    2 s for a new one.

    The driver's own plan is read lazily from a list that all statements share and each shuffles, so the second try
    could get the node of the first again. This plan is complete before the first try.
    """

    def __init__(self, child_policy: LoadBalancingPolicy, *, probes_unresponsive: bool) -> None:
        super().__init__(child_policy)
        self._probes_unresponsive = probes_unresponsive

    def populate(self, cluster: Cluster, hosts: Iterable[Host]) -> None:
        super().populate(cluster, hosts)
        self._sessions = cluster.sessions

    def make_query_plan(self, working_keyspace: str | None = None, query: Statement | None = None) -> Iterator[Host]:
        plan = list(super().make_query_plan(working_keyspace, query))
        if len(plan) > 1:
            plan.sort(key=self._rank)
        return iter(plan)

    def _rank(self, host: Host) -> int:
        if not any(pool.open_count for session in tuple(self._sessions) if (pool := session._pools.get(host))):
            return 2
        node = _nodes[host]
        if not node.is_open:
            return 0
        return -1 if self._probes_unresponsive and node.allows() else 1


def note_answer(future: ResponseFuture) -> None:
    """Remember which node answered a statement, and which were asked before and did not."""
    for host in future.attempted_hosts:
        if host == future.coordinator_host:
            _nodes[host].succeeded()
            return
        _nodes[host].failed(asked_at=time.monotonic() - SECOND_TRY_SECONDS)
