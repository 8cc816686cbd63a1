"""A reply is heard whatever its request's body, and the next batch on the same connection is not lost."""

import http.client
import json
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest

from conftest import WebServer
from tests.clients import wait_for
from tests.http2 import Http2Client
from web import transport
from web.transport import MOST_DRAINED_BYTES, Transport

EVENTS = "/api/v1/events/"
JSON = {"Content-Type": "application/json"}
SIZES = [300_000, 1_000_000, 5_000_000, 20_000_000]


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(WEB_WORKERS="1")
    yield server
    server.stop()


@pytest.fixture
def connection(web: WebServer) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=20)) as connection:
        yield connection


def batch(player: str) -> bytes:
    event = {"event": "start", "player_id": player, "session_id": str(uuid.uuid4()), "country": "FI"}
    return json.dumps([event]).encode()


def status_of(
    connection: http.client.HTTPConnection,
    body: bytes | Iterable[bytes],
    *,
    method: str = "POST",
    path: str = EVENTS,
    closes: bool = False,
    **headers: str,
) -> int:
    connection.request(method, path, body, {**JSON, **headers}, encode_chunked=not isinstance(body, bytes))
    reply = connection.getresponse()
    reply.read()
    assert reply.headers.get("Connection") == ("close" if closes else None)
    return reply.status


@pytest.mark.parametrize("size", SIZES)
def test_a_body_that_is_too_large_is_refused_and_the_next_batch_on_the_connection_is_stored(
    connection: http.client.HTTPConnection, player: str, size: int
) -> None:
    for _ in range(3):
        assert status_of(connection, b" " * size) == 413
        first = connection.sock
        assert status_of(connection, batch(player)) == 201
        assert connection.sock is first


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("names_its_length", [True, False])
def test_a_stream_of_http_2_that_is_too_large_is_refused_and_the_next_is_stored(
    web: WebServer, player: str, size: int, names_its_length: bool
) -> None:
    with Http2Client(web.url) as client:
        for _ in range(3):
            refused = client.post(EVENTS, b" " * size, says=size if names_its_length else None)
            assert json.loads(refused)["status"] == 413
            assert json.loads(client.post(EVENTS, batch(player)))["stored"] == 1


@pytest.mark.parametrize("size", SIZES)
def test_a_body_in_chunks_that_is_too_large_is_refused_and_the_next_batch_is_stored(
    connection: http.client.HTTPConnection, player: str, size: int
) -> None:
    pieces = (b" " * 10_000 for _ in range(size // 10_000))
    assert status_of(connection, pieces, **{"Transfer-Encoding": "chunked"}) == 413
    assert status_of(connection, batch(player)) == 201


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"path": "/nowhere/"}, 404),
        ({"path": "/event-handler"}, 413),
        ({"path": "/by-player/ada"}, 405),
        ({"path": "/livez"}, 405),
        ({"path": "/by-player/ada", "method": "GET"}, 200),
        ({"method": "PUT"}, 405),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "br"}, 415),
        ({"Accept": "image/png"}, 406),
        ({"Host": "elsewhere.example"}, 400),
    ],
)
@pytest.mark.parametrize("size", [100, 1_000_000])
def test_so_do_other_replies_that_leave_a_body_unread(
    connection: http.client.HTTPConnection, player: str, asked: dict[str, str], status: int, size: int
) -> None:
    expected = 400 if status == 413 and size == 100 else status
    assert status_of(connection, b" " * size, **asked) == expected
    first = connection.sock
    assert status_of(connection, batch(player)) == 201
    assert connection.sock is first


def head(size: int, **headers: str) -> bytes:
    named = {"Host": "127.0.0.1", **JSON, "Content-Length": str(size), **headers}
    lines = [f"POST {EVENTS} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def connected(web: WebServer, sent: bytes) -> socket.socket:
    host, port = urlsplit(web.url).netloc.split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(sent)
    return connection


def received(connection: socket.socket) -> bytes:
    with connection, connection.makefile("rb") as incoming:
        return incoming.read()


@pytest.mark.parametrize(
    "sent", [head(MOST_DRAINED_BYTES + 1), head(1_000_000, Expect="100-continue")], ids=["too large", "asks first"]
)
def test_a_reply_before_the_end_of_a_body_says_that_the_connection_closes(web: WebServer, sent: bytes) -> None:
    """At once, without waiting for the body; the second client need not send it."""
    reply = received(connected(web, sent))
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in reply


def test_clients_that_send_nothing_hold_no_more_than_the_threads_that_are_there_for_them(
    web: WebServer, connection: http.client.HTTPConnection, player: str
) -> None:
    with ExitStack() as waiting:

        def one_more_finds_no_thread() -> bool:
            waiting.enter_context(connected(web, head(1_000_000) + b" " * 10))
            return must_close(web)

        wait_for(one_more_finds_no_thread)
        assert status_of(connection, batch(player)) == 201
        assert status_of(connection, b" " * 1_000, closes=True, **{"Content-Type": "text/plain"}) == 415
    wait_for(lambda: not must_close(web))


def must_close(web: WebServer) -> bool:
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=20)) as connection:
        connection.request("POST", "/nowhere/", b"[]")
        return connection.getresponse().headers.get("Connection") == "close"


def refuses(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [("Retry-After", "1")])
    return [b"later"]


def headers_of(sent: BytesIO, **environ: str) -> dict[str, str]:
    """What ``refuses`` sends behind the stage."""
    replied: list[Any] = []
    asked = {"REQUEST_METHOD": "POST", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": sent, **environ}
    assert Transport(refuses)(asked, lambda *head: replied.append(head)) == [b"later"]
    [(status, headers)] = replied
    assert status == "503 Service Unavailable"
    return dict(headers)


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_slow_client_learns_that_the_connection_closes(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    monkeypatch.setattr(transport, "MOST_DRAINING_SECONDS", seconds)
    closes = {"Connection": "close"} if seconds == 0 else {}
    assert headers_of(BytesIO(b" " * 100_000), CONTENT_LENGTH="100000") == {"Retry-After": "1", **closes}


def test_a_body_without_a_known_end_is_read_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MOST_DRAINED_BYTES", 1_000_000)
    endless = BytesIO(b" " * 2_000_000)
    assert headers_of(endless, HTTP_TRANSFER_ENCODING="chunked")["Connection"] == "close"
    assert 1_000_000 <= endless.tell() < 1_100_000


def test_a_request_without_a_body_is_left_alone() -> None:
    assert headers_of(stream := BytesIO(b" ")) == headers_of(stream, CONTENT_LENGTH="0") == {"Retry-After": "1"}
    assert stream.tell() == 0
