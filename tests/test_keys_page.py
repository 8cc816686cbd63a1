"""docs/how-to/keys.md: its commands do what it shows, and its proxy lets in whom it should."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from access.keys import READ
from conftest import PROJECT, WebServer, free_port
from tests.clients import store_key

PAGE = (PROJECT / "docs/how-to/keys.md").read_text()
BLOCKS = re.findall(r"```console\n\$ (.*?)\n([A-Z{n].*?)```", PAGE, flags=re.DOTALL)
VARYING = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ": "MOMENT",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "UUID",
    r"\b[0-9a-f]{12}\b": "ID",
    r",\s+": ",",
    r"\[\s+": "[",
}
NEXT = "=== next ==="
KEYS_OF_OTHER_TESTS = re.compile(r"^(?!name|shooter).*\n", re.MULTILINE)
PROXY_FILE = (PROJECT / "docs/snippets/nginx-sign-in.conf").read_text()
# What of nginx's own is not of the page: files in the test's folder, and no daemon.
NGINX = """
daemon off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {server}
}}"""


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(AUTH="keys", REPORT_CACHE_SECONDS="0", WEB_WORKERS="1")
    yield server
    server.stop()


def alike(text: str) -> str:
    for pattern, name in VARYING.items():
        text = re.sub(pattern, name, text)
    return " ".join(text.split())


def test_the_commands_of_the_page_do_what_it_shows(web: WebServer) -> None:
    assert len(BLOCKS) == 7
    name = f"shooter{os.getpid()}"  # no other test's
    python = f"AUTH=keys LOG_LEVEL=WARNING {sys.executable}"
    # Each waits until the service knows of the one before.
    script = f"\nsleep 4; echo '{NEXT}'\n".join(f"{{ {command}\n}} 2>&1" for command, _ in BLOCKS)
    for shown, own in {
        "http://127.0.0.1:8000": web.url,
        "shooter": name,
        ".venv/bin/python": python,
        "curl ": "curl --silent ",
    }.items():
        script = script.replace(shown, own)
    ended = subprocess.run(["sh", "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    replies = ended.stdout.replace(name, "shooter").split(f"{NEXT}\n")
    for (command, wanted), reply in zip(BLOCKS, replies, strict=True):
        own = KEYS_OF_OTHER_TESTS.sub("", reply) if "api_keys list" in command else reply
        assert alike(own) == alike(wanted), command


class SignedIn(BaseHTTPRequestHandler):
    """Answers as oauth2-proxy does: whoever has the cookie is signed in, others are shown where to."""

    def do_GET(self) -> None:
        signed_in = "signed=in" in self.headers.get("Cookie", "")
        is_page = self.path.startswith("/oauth2/sign_in")
        self.send_response(200 if is_page else 202 if signed_in else 401)
        body = b"Who are you?" if is_page else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy(web: WebServer, tmp_path: Path, start_process: Callable[..., subprocess.Popen[bytes]]) -> Iterator[str]:
    """The address of an nginx with the page's file, in front of the service."""
    if not (nginx := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")):
        pytest.skip("There is no nginx on this machine.")
    sign_in = ThreadingHTTPServer(("127.0.0.1", 0), SignedIn)
    threading.Thread(target=sign_in.serve_forever, daemon=True).start()
    text = store_key(READ)
    own = {
        "127.0.0.1:8080": f"127.0.0.1:{(port := free_port())}",
        "127.0.0.1:4180": f"127.0.0.1:{sign_in.server_address[1]}",
        "http://127.0.0.1:8000": web.url,
        "KEY_OF_THE_PROXY": text,
    }
    server = PROXY_FILE
    for written, value in own.items():
        assert written in server
        server = server.replace(written, value)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(NGINX.format(folder=tmp_path, server=server))
    process = start_process([nginx, "-p", str(tmp_path), "-c", str(configuration)])
    time.sleep(4)  # until the service knows the key
    assert process.poll() is None
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)
    sign_in.shutdown()
    sign_in.server_close()


def ask(url: str, *, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method, headers=headers, data=b"[]" if method == "POST" else None)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_proxy_of_the_page_lets_in_who_is_signed_in_and_lets_nobody_write(proxy: str) -> None:
    report = f"{proxy}/api/v1/reports/starts/AQ/"
    assert ask(report)[1] == b"Who are you?"
    assert ask(report, Authorization="Bearer forged")[1] == b"Who are you?"
    status, body = ask(report, Cookie="signed=in", Authorization="Bearer forged")
    assert (status, b'"country":"AQ"' in body) == (200, True)
    assert ask(f"{proxy}/", Cookie="signed=in")[0] == 200
    assert ask(f"{proxy}/api/v1/events/", method="POST", Cookie="signed=in")[0] == 403
