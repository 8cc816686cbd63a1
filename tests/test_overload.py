"""More clients than the real server can serve: prompt refusals, bounded latency, nothing lost."""

import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from benchmarks.overload import Seen, milliseconds, overload
from conftest import WebServer
from sessions_project import cassandra

CLIENTS, SECONDS = 400, 8
MOST_MEGABYTES = 400


@pytest.fixture
def web(web_server: Callable[..., WebServer]) -> WebServer:
    return web_server(WEB_WORKERS="1")


def megabytes(web: WebServer) -> float:
    processes = [psutil.Process(web.process.pid), *psutil.Process(web.process.pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in processes) / 1e6


def stored(sessions: list[str]) -> int:
    query = "SELECT COUNT(*) FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    rows = cassandra.execute_many([(query, (player,)) for player in sessions], deadline=time.monotonic() + 60)
    return sum(row[0] for (row,) in rows)


def fair_wait_ms(seen: Seen) -> float:
    """What a reply would take if all clients queued (Little's law): more on a slow machine, so it judges any."""
    return CLIENTS * SECONDS / len(seen.accepted) * 1000


def test_it_works(web: WebServer) -> None:
    overload(web.url, clients=8, seconds=1)
    seen = overload(web.url, clients=CLIENTS, seconds=SECONDS)
    assert seen.others == []
    assert milliseconds(seen.accepted, 90) < fair_wait_ms(seen) / 2, seen.told(SECONDS)
    assert seen.refused
    assert milliseconds(seen.refused, 90) < fair_wait_ms(seen) / 2, seen.told(SECONDS)
    assert megabytes(web) < MOST_MEGABYTES
    assert stored(seen.sessions) == len(seen.sessions) == 10 * len(seen.accepted)


def test_few_clients_are_never_refused(web: WebServer) -> None:
    assert overload(web.url, clients=16, seconds=2).refused == []


def test_the_service_says_that_it_is_alive(web: WebServer) -> None:
    with ThreadPoolExecutor() as pool:
        load = pool.submit(overload, web.url, clients=CLIENTS, seconds=3)
        time.sleep(1)
        assert urllib.request.urlopen(f"{web.url}/livez", timeout=2).status == 200
        assert load.result().others == []
