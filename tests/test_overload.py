"""More clients than the real server can serve: prompt refusals, bounded latency, nothing lost."""

import http.client
import json
import re
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from benchmarks.overload import Seen, milliseconds, overload
from conftest import WebServer
from store import cassandra

pytestmark = pytest.mark.alone

CLIENTS, SECONDS = 400, 8
MOST_MEGABYTES = 400


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(WEB_WORKERS="1")
    yield server
    server.stop()


def megabytes(web: WebServer) -> float:
    processes = [psutil.Process(web.process.pid), *psutil.Process(web.process.pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in processes) / 1e6


def stored(sessions: list[str]) -> int:
    query = "SELECT COUNT(*) FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    rows = cassandra.execute_many([(query, (player,)) for player in sessions], deadline=time.monotonic() + 60)
    return sum(row[0] for (row,) in rows)


def fair_wait_ms(seen: Seen) -> float:
    """What a reply would take if all clients queued (Little's law): more on a slow machine, so it is right for any."""
    return CLIENTS * SECONDS / len(seen.accepted) * 1000


def test_an_overloaded_service_refuses_promptly_and_stores_all_that_it_accepts(web: WebServer) -> None:
    overload(web.url, clients=8, seconds=1)
    seen = overload(web.url, clients=CLIENTS, seconds=SECONDS)
    assert seen.others == []
    assert milliseconds(seen.accepted, 90) < fair_wait_ms(seen) / 2, seen.summary(SECONDS)
    assert seen.refused
    assert milliseconds(seen.refused, 90) < fair_wait_ms(seen) / 2, seen.summary(SECONDS)
    assert megabytes(web) < MOST_MEGABYTES
    assert stored(seen.sessions) == len(seen.sessions) == 10 * len(seen.accepted)


def test_few_clients_are_never_refused(web: WebServer) -> None:
    assert overload(web.url, clients=16, seconds=2).refused == []


def test_the_service_says_that_it_is_alive_shows_its_page_and_logs_what_it_refuses(
    web_server: Callable[..., WebServer], tmp_path: Path
) -> None:
    web = web_server(log=(log := tmp_path / "web.log"), WEB_WORKERS="1")
    with ThreadPoolExecutor() as pool:
        load = pool.submit(overload, web.url, clients=CLIENTS, seconds=3)
        time.sleep(1)
        for path in ("/livez", "/readyz", "/", "/page.js", "/static/dashboard/main.js"):
            assert urllib.request.urlopen(f"{web.url}{path}", timeout=2).status == 200
        seen = load.result()
    assert seen.others == []
    reported = re.findall(r"More requests than can be handled: (\d+) refused", log.read_text())
    assert 2 <= len(reported) <= 10
    assert 0 < sum(map(int, reported)) <= len(seen.refused)


def test_an_event_without_ts_happened_when_it_had_been_received(web: WebServer) -> None:
    body = json.dumps([{"event": "end", "player_id": (player := f"slow_{uuid.uuid4().hex}")}]).encode()
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=10)) as connection:
        connection.putrequest("POST", "/api/v1/events/")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.5)
        sent_ms = time.time_ns() // 1_000_000
        connection.send(body[5:])
        assert connection.getresponse().status == 201
    with urllib.request.urlopen(f"{web.url}/api/v1/reports/players/{player}/sessions/") as reply:
        (session,) = json.load(reply)["results"]
    assert datetime.fromisoformat(session["ended_at"]).timestamp() * 1000 >= sent_ms
