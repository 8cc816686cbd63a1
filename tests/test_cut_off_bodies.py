"""A body that does not come whole is not stored, whichever way it comes and whatever it says up to there."""

import gzip
import json
import socket
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from conftest import WebServer
from store import cassandra
from tests.http2 import Http2Client

EVENTS = "/api/v1/events/"


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    """One that has stored a batch."""
    server = WebServer(WEB_WORKERS="1")
    body = end("nobody")
    whole = head("Connection: close", f"Content-Length: {len(body)}") + body
    assert b" 201 " in reply_to(server, whole, breaks_off=False)
    yield server
    server.stop()


def end(player: str) -> bytes:
    return json.dumps({"event": "end", "player_id": player, "session_id": str(uuid.uuid4())}).encode()


def head(*lines: str, path: str = EVENTS) -> bytes:
    sent = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *lines, "", ""]
    return "\r\n".join(sent).encode()


def reply_to(web: WebServer, sent: bytes, *, breaks_off: bool = True) -> bytes:
    """What comes when the client sends this and, if it ``breaks_off``, says that no more will follow."""
    host, port = urlsplit(web.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        if breaks_off:
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as incoming:
            return incoming.read()


def rows_of(player: str) -> int:
    return len(cassandra.execute("SELECT * FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,)))


@pytest.mark.parametrize("path", [EVENTS, "/event-handler"])
def test_a_body_that_is_shorter_than_its_length_is_refused_and_not_stored(
    web: WebServer, player: str, path: str
) -> None:
    """All of the JSON came, but the client meant to send more."""
    reply = reply_to(web, head("Content-Length: 500", path=path) + end(player))
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert f"{len(end(player))} of 500 bytes came".encode() in reply
    assert rows_of(player) == 0


def test_a_gzip_body_without_its_second_member_is_not_stored(web: WebServer, player: str) -> None:
    """The second of its members is missing, and what came is whole."""
    packed = gzip.compress(end(player))
    reply = reply_to(web, head("Content-Encoding: gzip", f"Content-Length: {len(packed) + 20}") + packed)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert rows_of(player) == 0


def test_a_body_in_chunks_that_ends_inside_its_json_is_not_stored(web: WebServer, player: str) -> None:
    """It has no length to compare with, but JSON has an end of its own."""
    body = b"[" + end(player) + b"]"
    piece = f"{len(body) - 1:x}\r\n".encode() + body[:-1] + b"\r\n"
    reply = reply_to(web, head("Transfer-Encoding: chunked") + piece)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert rows_of(player) == 0


@pytest.mark.parametrize(("length", "ends"), [(500, True), (500, False), (None, False)])
def test_a_stream_of_http_2_that_ends_early_is_not_stored(
    web: WebServer, player: str, length: int | None, ends: bool
) -> None:
    """Ended before its length, or reset; the connection serves on."""
    body = b"[" + end(player) + (b"]" if length else b"")
    with Http2Client(web.url) as client:
        client.post(EVENTS, body, says=length, ends=ends)
        assert json.loads(client.post(EVENTS, end("nobody")))["stored"] == 1
    assert rows_of(player) == 0


def test_the_same_whole_is_stored(web: WebServer, player: str) -> None:
    body = end(player)
    whole = head("Connection: close", f"Content-Length: {len(body)}") + body
    assert b" 201 " in reply_to(web, whole, breaks_off=False)
    with Http2Client(web.url) as client:
        for length in (len(end(player)), None):
            assert json.loads(client.post(EVENTS, end(player), says=length))["stored"] == 1
    assert rows_of(player) == 3
