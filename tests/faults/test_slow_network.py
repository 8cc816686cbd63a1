"""A bad network before Cassandra and Redis: every request ends in time."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from conftest import WebServer
from embedded.cassandra import CassandraNode
from embedded.redis import RedisServer
from tests.faults.conftest import environment_of, redis_environment
from tests.faults.ledger import MOST_SECONDS, Ledger, Load, ask, read_back, wait_until_stored
from tests.faults.proxy import Network, Proxy

Figure = Callable[[str], None]
BAD_NETWORKS = {
    "0.3 s of latency": Network(delay_seconds=0.3),
    "0.2 s ± 0.2 s": Network(delay_seconds=0.2, jitter_seconds=0.2),
    "20 kB/s": Network(bytes_per_second=20_000),
    "pieces of 7 bytes": Network(slice_bytes=7, delay_seconds=0.001),
    "unresponsive": Network(unresponsive=True),
}
# With so many connections both workers are asked.
PROBES = 12


class Proxied(NamedTuple):
    web: WebServer
    cassandra: Proxy
    redis: Proxy


@pytest.fixture(scope="module")
def proxied(node: CassandraNode, redis_server: RedisServer) -> Iterator[Proxied]:
    cassandra, redis = Proxy(node.address), Proxy(redis_server.address)
    environment = {**environment_of([node]), "CASSANDRA_PORT": str(cassandra.port)}
    web = WebServer(**environment, **redis_environment(redis.port), WEB_WORKERS="2")
    yield Proxied(web, cassandra, redis)
    web.stop()
    cassandra.close()
    redis.close()


@pytest.mark.parametrize("before", ["cassandra", "redis"])
def test_a_bad_network(proxied: Proxied, ledger: Ledger, figure: Figure, long_form: bool, before: str) -> None:
    """Whatever the network does, every batch and every report but a CSV file ends within 5 s, and nothing
    acknowledged is lost.

    A proxy before Cassandra, then before Redis: 0.3 s of latency, jitter, 20 kB/s, pieces of 7 bytes, no answer, and
    resets; each for 3 s, in the long form for 20 s.
    """
    proxy: Proxy = getattr(proxied, before)
    for _ in range(PROBES):  # each worker finds out for itself that its writes come through again
        wait_until_stored(proxied.web.url, seconds=10)
    with Load(proxied.web.url, ledger, country="NC" if before == "cassandra" else "NR") as load:
        time.sleep(1)
        for network in BAD_NETWORKS.values():
            proxy.network = network
            time.sleep(20 if long_form else 3)
            proxy.network = Network()
            wait_until_stored(proxied.web.url, seconds=10)
        for _ in range(20 if long_form else 3):
            proxy.reset_connections()
            time.sleep(1)
        wait_until_stored(proxied.web.url, seconds=10)
    back = read_back(load)
    print(before, back, load.summary())
    assert back.exact(), back
    assert {reply.status for reply in load.failed()} <= {503}
    if before == "redis":
        assert not load.failed(), load.summary()
    assert load.slowest_seconds() < MOST_SECONDS, load.summary()
    statuses = Counter(reply.status for reply in load.replies)
    figure(
        f"{before}: {back.summary()}; slowest {load.slowest_seconds():.1f} s, "
        f"{statuses[503]:,} of {len(load.replies):,} refused"
    )


def test_a_store_that_is_silent_from_the_start(node: CassandraNode, redis_server: RedisServer, figure: Figure) -> None:
    """A service that starts while its store accepts connections and says nothing answers 503 within 5 s, and serves no
    later than 10 s after the store speaks again.

    An unresponsive proxy before Cassandra while the service starts; 8 clients ask for 6 s.
    """
    proxy = Proxy(node.address)
    proxy.network = Network(unresponsive=True)
    environment = {**environment_of([node]), "CASSANDRA_PORT": str(proxy.port)}
    web = WebServer(**environment, **redis_environment(redis_server.address[1]), WEB_WORKERS="2")
    took: list[float] = []
    statuses: Counter[int] = Counter()

    def asking() -> None:
        until = time.monotonic() + 6
        while time.monotonic() < until:
            reply, _ = ask(f"{web.url}/api/v1/reports/players/nobody/sessions/")
            took.append(reply.seconds)
            statuses[reply.status] += 1

    clients = [threading.Thread(target=asking) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    proxy.network = Network()
    back_after = wait_until_stored(web.url, seconds=10)
    web.stop()
    proxy.close()
    print(statuses, max(took), back_after)
    assert set(statuses) == {503}
    assert max(took) < MOST_SECONDS
    figure(
        f"{statuses[503]:,} of {statuses[503]:,} with 503, the slowest after {max(took):.1f} s; "
        f"served after {back_after:.1f} s"
    )
