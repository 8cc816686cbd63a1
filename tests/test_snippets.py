"""The programs of docs/how-to/send-events.md send each event once, through refusals, lost requests and lost replies."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import PROJECT, WebServer

SNIPPETS = PROJECT / "docs/snippets"
PROGRAMS = {
    "send_events.py": [sys.executable],
    "send_events.js": ["node"],
    "send_events.go": ["go", "run"],
    "SendEvents.cs": ["dotnet", "run"],
}
RETRY_AFTER_SECONDS = 1
# What happens to one request after the other. Short waits first: without Retry-After they grow.
TROUBLE = ["request lost", "reply lost", 503, 429, 500, "passed on"]


class Request(NamedTuple):
    """What came, and when."""

    at: float
    body: bytes


class TroubledServer(ThreadingHTTPServer):
    """Stands before the service and gives each request its part of TROUBLE."""

    def __init__(self, service: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.service = service
        self.requests: list[Request] = []


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: TroubledServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        trouble = TROUBLE[len(self.server.requests)]
        self.server.requests.append(Request(time.monotonic(), body))
        if trouble == "request lost":
            return
        if isinstance(trouble, int):
            self.send_response(trouble)
            self.send_header("Retry-After", str(RETRY_AFTER_SECONDS))
            self.end_headers()
            return
        request = urllib.request.Request(self.server.service + self.path, body, {"Content-Type": "application/json"})
        reply = urllib.request.urlopen(request)
        if trouble == "passed on":
            self.send_response(reply.status)
            self.end_headers()
            self.wfile.write(reply.read())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(shared_web: WebServer) -> WebServer:
    return shared_web


@pytest.fixture
def troubled(web: WebServer) -> Iterator[TroubledServer]:
    with TroubledServer(web.url) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_batch_is_sent_until_it_is_acknowledged_and_stored_once(
    name: str, troubled: TroubledServer, web: WebServer, tmp_path: Path
) -> None:
    program, *options = PROGRAMS[name]
    if not shutil.which(program):
        pytest.skip(f"There is no {program} on this machine.")
    command = [program, *options, str(SNIPPETS / name), f"http://127.0.0.1:{troubled.server_port}"]
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GO111MODULE": "off", "DOTNET_CLI_TELEMETRY_OPTOUT": "1"}
    sender = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert sender.returncode == 0, sender.stderr
    results = json.loads(sender.stdout)
    assert [one["status"] for one in results] == ["stored", "stored"]
    assert len(troubled.requests) == len(TROUBLE)
    assert len({request.body for request in troubled.requests}) == 1
    for trouble, (one, following) in zip(TROUBLE, pairwise(troubled.requests), strict=False):
        if isinstance(trouble, int):
            assert following.at - one.at >= RETRY_AFTER_SECONDS * 0.9
    starts = json.load(urllib.request.urlopen(f"{web.url}/api/v1/reports/starts/FI/?hours=1&limit=1000"))["results"]
    assert [one["session_id"] for one in starts].count(results[0]["session_id"]) == 1


def test_every_program_is_in_the_guide_and_tried_here() -> None:
    guide = (PROJECT / "docs/how-to/send-events.md").read_text()
    assert {path.name for path in SNIPPETS.iterdir() if path.suffix != ".conf"} == PROGRAMS.keys()
    for name in PROGRAMS:
        assert f'--8<-- "{name}"' in guide
