"""Keys of a service as it is shipped: two processes, its store, its cache, and what goes wrong with them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from access import key_store
from access.keys import ID, READ, WRITE, new_key
from conftest import WebServer
from embedded.redis import RedisServer
from tests.clients import store_key

pytestmark = pytest.mark.long

STARTS = "/api/v1/reports/starts/?hours=1"
EVENTS = "/api/v1/events/"
# The promise is three seconds; a machine that stalls may take another two.
REVOKED_WITHIN_SECONDS = 5


def revoke(text: str) -> None:
    (key,) = (key for key in key_store.stored_keys() if key.key_id == text[ID])
    key_store.revoke(key, now_ms=time.time_ns() // 1_000_000)


def batch(player: str, number: int = 1) -> bytes:
    return json.dumps([{"event": "end", "player_id": player} for _ in range(number)]).encode()


_connections: list[HTTPConnection] = []


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while _connections:
        _connections.pop().close()


class Client:
    """One connection, which stays with one process of the service."""

    def __init__(self, server: WebServer, key: str | None = None) -> None:
        self._connection = HTTPConnection(urlsplit(server.url).netloc, timeout=20)
        _connections.append(self._connection)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.body, self.headers = b"", Message()

    def ask(self, path: str, body: bytes | None = None, *, method: str | None = None, **headers: str) -> int:
        sent = {**self._headers, **({"Content-Type": "application/json"} if body else {}), **headers}
        self._connection.request(method or ("POST" if body else "GET"), path, body, sent)
        reply = self._connection.getresponse()
        self.body = reply.read()
        self.headers = reply.headers
        return reply.status


def redis_url(redis: RedisServer) -> str:
    return f"redis://127.0.0.1:{redis.address[1]}/0"


def until(status: int, ask: Callable[[], int], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while (answer := ask()) != status:
        assert time.monotonic() < deadline, f"{answer}, not {status}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(AUTH="keys", WEB_WORKERS="2", REPORT_CACHE_SECONDS="50")
    yield server
    server.stop()


@pytest.fixture
def writer(web: WebServer) -> str:
    text = store_key(WRITE)
    _known_everywhere(web, text)
    return text


@pytest.fixture
def reader(web: WebServer) -> str:
    text = store_key(READ)
    _known_everywhere(web, text)
    return text


def _known_everywhere(web: WebServer, text: str) -> None:
    for client in several(web, text):
        until(200, lambda client=client: client.ask("/api/v1/"), seconds=REVOKED_WITHIN_SECONDS)  # type: ignore[misc]


def several(web: WebServer, key: str | None, number: int = 6) -> list[Client]:
    """Connections of which both processes have some, but for one case in 32."""
    return [Client(web, key) for _ in range(number)]


def test_batches_and_reports_need_their_keys(web: WebServer, writer: str, reader: str, player: str) -> None:
    assert Client(web).ask(EVENTS, batch(player)) == 401
    assert Client(web, reader).ask(EVENTS, batch(player)) == 403
    assert Client(web, writer).ask(EVENTS, batch(player)) == 201
    assert Client(web, writer).ask(STARTS) == 403
    assert Client(web, reader).ask(STARTS) == 200
    assert Client(web).ask("/") == 200
    assert Client(web).ask("/livez") == 200


def test_a_method_in_small_letters_needs_the_same_key_and_is_charged(
    web: WebServer, writer: str, reader: str, player: str
) -> None:
    assert Client(web, writer).ask(STARTS, method="get") == 403
    assert Client(web, reader).ask(STARTS, method="get") == 200
    limited = store_key(WRITE, events_per_second=1)
    _known_everywhere(web, limited)
    client = Client(web, limited)
    until(429, lambda: client.ask(EVENTS, batch(player, 10), method="post"))


def test_a_report_from_memory_and_from_redis_needs_a_key_too_and_is_shared(web: WebServer, reader: str) -> None:
    another = store_key(READ)
    _known_everywhere(web, another)
    replies = []
    for key in (reader, another) * 4:
        client = Client(web, key)
        assert client.ask(STARTS) == 200
        replies.append(client.headers["ETag"])
        assert Client(web).ask(STARTS) == 401
    assert len(set(replies)) == 1
    assert "Authorization" in ", ".join(client.headers.get_all("Vary"))


def test_a_revoked_key_is_refused_by_all_processes_under_load(web: WebServer, writer: str, player: str) -> None:
    refused_at: list[float] = []

    def send(client: Client) -> None:
        while client.ask(EVENTS, batch(player)) == 201:
            pass
        refused_at.append(time.monotonic())

    threads = [threading.Thread(target=send, args=(client,)) for client in several(web, writer)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    revoke(writer)
    revoked_at = time.monotonic()
    for thread in threads:
        thread.join(30)
    assert len(refused_at) == len(threads)
    assert max(refused_at) - revoked_at < REVOKED_WITHIN_SECONDS


def test_a_client_that_takes_the_new_key_within_the_overlap_is_never_refused(
    web: WebServer, player: str, capsys: pytest.CaptureFixture[str]
) -> None:
    former = store_key(WRITE)
    _known_everywhere(web, former)
    capsys.readouterr()
    call_command("api_keys", "rotate", f"k{former[ID]}", "--overlap", "8s")
    latter = capsys.readouterr().out.strip()
    until(201, lambda: Client(web, latter).ask(EVENTS, batch(player)))
    _known_everywhere(web, latter)
    assert {client.ask(EVENTS, batch(player)) for client in several(web, former)} == {201}
    for client in several(web, former):
        until(401, lambda client=client: client.ask(EVENTS, batch(player)), seconds=15)  # type: ignore[misc]
    assert {client.ask(EVENTS, batch(player)) for client in several(web, latter)} == {201}


def test_the_limit_is_that_of_both_processes_together(web: WebServer, player: str) -> None:
    text = store_key(WRITE, events_per_second=40)
    _known_everywhere(web, text)
    stored, until_moment = [0], time.monotonic() + 12
    lock = threading.Lock()

    def send(client: Client) -> None:
        while time.monotonic() < until_moment:
            status = client.ask(EVENTS, batch(player, 10))
            if status == 201:
                with lock:
                    stored[0] += 10
            else:
                assert status == 429
                assert int(client.headers["Retry-After"]) >= 1
                time.sleep(0.05)

    threads = [threading.Thread(target=send, args=(client,)) for client in several(web, text)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # 12 seconds of 40, one burst of 80 in each process, and half a second until each knows of the other.
    assert 12 * 40 * 0.8 <= stored[0] <= 12 * 40 + 2 * 80 + 6 * 10 + 40


def test_a_thousand_wrong_keys_cost_others_nothing(web: WebServer, reader: str) -> None:
    wrong = Client(web)
    for number in range(1_000):
        text = f"{reader[:18]}{number:053}" if number % 2 else new_key([READ])
        assert wrong.ask(STARTS, Authorization=f"Bearer {text}") == 401
    assert Client(web, reader).ask(STARTS) == 200


def test_no_key_is_written_to_the_log(web_server: Callable[..., WebServer], tmp_path: Path, player: str) -> None:
    log = tmp_path / "log"
    server = web_server(log=log, AUTH="keys", LOG_LEVEL="DEBUG", WEB_WORKERS="1")
    text = store_key(WRITE, events_per_second=1)
    client = Client(server, text)
    until(201, lambda: client.ask(EVENTS, batch(player, 10)))
    until(429, lambda: client.ask(EVENTS, batch(player, 10)))
    assert client.ask(STARTS) == 403
    assert Client(server, text[:-1]).ask(STARTS) == 401
    written = log.read_text()
    assert text[ID] in written  # whose limit it was
    assert text[19:62] not in written


def test_a_service_that_has_not_read_its_keys_yet_lets_nobody_in(
    web_server: Callable[..., WebServer], unmeasured_redis: RedisServer
) -> None:
    server = web_server(AUTH="keys", WEB_WORKERS="1", CASSANDRA_PORT="1", REDIS_URL=redis_url(unmeasured_redis))
    client = Client(server, store_key(READ))
    assert client.ask(STARTS) == 503
    assert json.loads(client.body)["type"].endswith("keys-unavailable")
    assert client.ask("/livez") == 200
    assert client.ask("/") == 200


def test_limits_hold_in_each_process_while_redis_is_unavailable(
    web_server: Callable[..., WebServer], own_redis: RedisServer, player: str
) -> None:
    server = web_server(AUTH="keys", WEB_WORKERS="1", REDIS_URL=redis_url(own_redis))
    text = store_key(WRITE, events_per_second=50)
    client = Client(server, text)
    until(201, lambda: client.ask(EVENTS, batch(player)))
    own_redis.stop()
    began, stored = time.monotonic(), 0
    while time.monotonic() < began + 6:
        if client.ask(EVENTS, batch(player, 10)) == 201:
            stored += 10
        else:
            time.sleep(0.02)
    assert 6 * 50 * 0.7 <= stored <= 6 * 50 + 100 + 20
