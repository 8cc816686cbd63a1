"""Web workers are killed, and the service is stopped, while requests are in flight."""

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import psutil
import pytest

from conftest import WebServer
from embedded.cassandra import CassandraNode
from embedded.redis import RedisServer
from tests.faults.conftest import Service, environment_of, redis_environment
from tests.faults.ledger import Ledger, Load, Reply, ask, read_back, wait_until
from tests.faults.proxy import Network, Proxy

WORKERS = 2
RESPAWN_SECONDS = 15.0
Figure = Callable[[str], None]


def workers(web: WebServer) -> list[psutil.Process]:
    """Those that have loaded the service: a fresh one has few threads.

    The oldest first, which is not the order of their ids, since these wrap. The server ends when the same one dies
    twice within 5.5 s.
    """
    loaded = [child for child in psutil.Process(web.process.pid).children() if child.num_threads() > 4]
    return sorted(loaded, key=psutil.Process.create_time)


def test_a_killed_web_worker(node_service: Service, ledger: Ledger, figure: Figure, long_form: bool) -> None:
    """When a web worker is killed only the requests that it holds are cut off, none is acknowledged falsely or lost,
    the other worker serves, and a new one takes its place.

    `kill -9` of one of two workers under load, 2 times, in the long form 10; every cut off batch is sent again.
    """
    times = 10 if long_form else 2
    took = []
    with Load(node_service.web.url, ledger, country="WK") as load:
        time.sleep(1)
        for _ in range(times):
            workers(node_service.web)[0].kill()
            time.sleep(0.5)
            there = (len(workers(node_service.web)) == WORKERS for _ in iter(int, 1))
            took.append(wait_until(there, seconds=RESPAWN_SECONDS, otherwise="no new worker"))
            time.sleep(1)
    back = read_back(load)
    cut_off = load.failed()
    print(back, load.summary(), took)
    assert back.exact(), back
    assert {reply.status for reply in cut_off} <= {0}, load.summary()
    assert len(cut_off) <= times * len(load._threads), load.summary()
    figure(
        f"{back.summary()}; {len(cut_off)} of {len(load.replies):,} requests cut off by {times} kills, "
        f"no other failed; a new worker after {max(took):.1f} s"
    )


@pytest.fixture
def slow_store(node: CassandraNode) -> Iterator[Proxy]:
    proxy = Proxy(node.address)
    yield proxy
    proxy.close()


def test_a_stop_lets_requests_finish(
    node: CassandraNode, slow_store: Proxy, redis_server: RedisServer, figure: Figure
) -> None:
    """Requests in flight when the service is asked to stop are answered.

    SIGTERM while 8 batches wait for a store with 0.5 s of latency.
    """
    environment = {**environment_of([node]), "CASSANDRA_PORT": str(slow_store.port)}
    web = WebServer(**environment, **redis_environment(redis_server.address[1]), WEB_WORKERS="2")
    replies: list[Reply] = []

    def post() -> None:
        event = {"event": "end", "player_id": "stopping", "session_id": str(uuid.uuid4())}
        replies.append(ask(f"{web.url}/api/v1/events/", [event])[0])

    for _ in range(20):  # both workers have prepared their statements then
        post()
    replies.clear()
    slow_store.network = Network(delay_seconds=0.25)
    clients = [threading.Thread(target=post) for _ in range(8)]
    for client in clients:
        client.start()
    time.sleep(0.3)
    web.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join()
    web.process.wait(20)
    assert [reply.status for reply in replies] == [201] * 8
    figure(f"8 of 8 answered with 201, the last {max(reply.seconds for reply in replies):.1f} s after it was sent")
