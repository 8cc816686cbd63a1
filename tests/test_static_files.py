"""Clients that do not read what they asked for hold no threads."""

import socket
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

from conftest import WebServer
from web.server_threads import server_threads

LARGE_FILE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


def test_clients_that_do_not_read_a_large_file_keep_no_report_waiting(web_server: Callable[..., WebServer]) -> None:
    web = web_server(WEB_WORKERS="1", WEB_THREADS="1")
    with ExitStack() as clients:
        for _ in range(server_threads(working=1) + 1):
            client = clients.enter_context(socket.socket())
            client.settimeout(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", urlsplit(web.url).port))
            client.sendall(f"GET {LARGE_FILE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        with urllib.request.urlopen(f"{web.url}/api/v1/reports/starts/", timeout=5) as reply:
            assert reply.status == 200
    with urllib.request.urlopen(f"{web.url}{LARGE_FILE}") as reply:
        assert len(reply.read()) == int(reply.headers["Content-Length"]) > 1_000_000
