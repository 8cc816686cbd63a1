"""How long a process takes for a report that it has in memory: the chain of stages, without server and network.

``python -m benchmarks.cached_reply`` prints microseconds for clients that ask for no encoding, that accept gzip, and
that have the report already: of each the least of many short rounds. With ``AUTH=keys`` each of them sends a key that
may read, and the last a wrong one. Wants the stack of ``make up``.
"""

import os
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")

from granian.wsgi import Response

from benchmarks.markdown import table
from sessions_project.wsgi import application

# With their settings, which the application has read.
from django.conf import settings  # isort: skip

from access import key_store  # isort: skip
from access.key_set import SECONDS_BETWEEN_READINGS  # isort: skip
from access.keys import READ, new_key, stored_form  # isort: skip

# Short rounds, of which the fastest was disturbed by nothing.
ROUNDS, CALLS = 300, 500
PATH, QUERY = "/api/v1/reports/starts/timeline/", "hours=168"  # 8 kB
PLAIN: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": PATH,
    "QUERY_STRING": QUERY,
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_ACCEPT": "*/*",
    "wsgi.url_scheme": "http",
    "wsgi.input": BytesIO(),
}


def main() -> None:
    """Print the table."""
    if settings.AUTH == "keys":
        PLAIN["HTTP_AUTHORIZATION"] = f"Bearer {known_key()}"
    etag = dict(ask(PLAIN)[1]).get("ETag", "none")
    clients = {
        "plain": PLAIN,
        "accepts gzip": {**PLAIN, "HTTP_ACCEPT_ENCODING": "gzip, deflate, br"},
        "has the report": {**PLAIN, "HTTP_IF_NONE_MATCH": etag},
    }
    if settings.AUTH == "keys":
        clients["wrong key"] = {**PLAIN, "HTTP_AUTHORIZATION": f"Bearer {new_key([READ])}"}
    print(table(["client", "status", "bytes", "us"], rows(clients)))


def known_key() -> str:
    """Make a key that the application knows, and return it."""
    text = new_key([READ])
    key_store.add(stored_form(text, scopes=[READ], name="benchmark", created_ms=time.time() * 1000))
    time.sleep(2 * SECONDS_BETWEEN_READINGS)
    return text


def rows(clients: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    """Of each client what it gets, and how long that takes."""
    for name, environ in clients.items():
        status, _, body = ask(environ)
        took = min(seconds(environ) for _ in range(ROUNDS))
        yield [name, status[:3], str(len(body)), f"{took / CALLS * 1e6:.1f}"]


def ask(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body of a reply."""
    heads: list[Any] = []
    body = b"".join(application({**environ}, lambda *head: heads.append(head)))
    return heads[-1][0], heads[-1][1], body


def seconds(environ: dict[str, Any]) -> float:
    """How long CALLS of them take."""
    began = time.perf_counter()
    for _ in range(CALLS):
        b"".join(application({**environ}, Response()))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
