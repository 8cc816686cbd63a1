"""docker/compose.cluster.yaml on an engine: three nodes, two replicas, a proxy. 'make test-docker' runs it."""

import json
import re
import time
from collections.abc import Callable

from tests.containers.conftest import Stack, run

Figure = Callable[[str], None]


def test_a_replica_and_a_node_are_killed(cluster: Stack, figure: Figure) -> None:
    """A web replica and a Cassandra node may be killed: nothing that was acknowledged is lost.

    Four clients post through the proxy and repeat what fails; `docker kill` of a replica, then of a node.
    """
    load = cluster.start_client("load", "http://proxy:8080", "60")
    time.sleep(15)
    run("docker", "kill", cluster.containers("web")[0])
    time.sleep(15)
    cluster.compose("kill", "cassandra-2")
    output, _ = load.communicate(timeout=400)
    seen = json.loads(output)
    cluster.compose("up", "--detach", "--wait", "--wait-timeout", "600")
    assert seen["lost"] == 0, seen
    assert seen["statuses"].keys() <= {"201", "503"}, seen
    assert seen["acknowledged"] > 1_000, seen
    refused = seen["statuses"].get("503", 0)
    figure(
        f"healthy after {cluster.seconds_to_start:.0f} s; {seen['acknowledged']:,} sessions, none lost; {refused} of "
        f"{sum(seen['statuses'].values()):,} requests 503, the slowest {seen['slowest']:.1f} s"
    )


def test_nodes_start_in_another_order(cluster: Stack, figure: Figure) -> None:
    """Nodes that start in another order find their ring: each has its address.

    All three are stopped, and started from the last to the first with `docker start`.
    """
    nodes = [f"cassandra-{number}" for number in (3, 2, 1)]
    before = {node: address(cluster, node) for node in nodes}
    cluster.compose("stop", *nodes)
    for node in nodes:  # "docker compose start" would begin with the first, which the others depend on
        run("docker", "start", *cluster.containers(node))
    took = cluster.wait_until("http://proxy:8080/by-country/NO/1", seconds=400)
    assert {node: address(cluster, node) for node in nodes} == before
    assert "collision" not in cluster.compose("logs", *nodes).lower()
    figure(f"reports again {took:.0f} s after the last was started")


def address(stack: Stack, service: str) -> str:
    [container] = stack.containers(service)
    [network] = stack.inspect(container)["NetworkSettings"]["Networks"].values()
    return str(network["IPAMConfig"]["IPv4Address"])


def test_more_replicas(cluster: Stack, figure: Figure) -> None:
    """Replicas can be added while it runs; the proxy sends requests to each, and Prometheus reads from each.

    `--scale web=3`, ten seconds of load through the proxy, the metrics of each replica, and the targets of Prometheus.
    """
    cluster.compose("up", "--detach", "--wait", "--scale", "web=3", "--no-recreate")
    time.sleep(6)  # nginx asks for their addresses every 5 s
    before = {container: requests_of(cluster, container) for container in cluster.containers("web")}
    seen = cluster.client("load", "http://proxy:8080", "10")
    assert seen["lost"] == 0
    handled = [requests_of(cluster, container) - number for container, number in before.items()]
    assert len(handled) == 3
    assert all(number > 0 for number in handled), handled
    cluster.compose("up", "--detach", "prometheus")
    cluster.scraped(3)
    cluster.compose("up", "--detach", "--wait", "--scale", "web=2", "--no-recreate")
    figure(f"{handled[0]:,.0f}, {handled[1]:,.0f} and {handled[2]:,.0f} batches")


def requests_of(stack: Stack, container: str) -> float:
    """How many batches a replica has stored, by its metrics."""
    [network] = stack.inspect(container)["NetworkSettings"]["Networks"].values()
    body = stack.client("get", f"http://{network['IPAddress']}:9464/metrics")["body"]
    [found] = re.findall(r'duration_seconds_count\{.*route="/api/v1/events/".*status="201"\} ([\d.]+)', body) or ["0"]
    return float(found)
