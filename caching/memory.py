"""A report that this process has sent is sent again while it is fresh: without the framework and without Redis.

What may be kept is decided in reports/urls.py, which marks the requests; for how long, by the Expires of cache_page. So
no report gets older than in Redis.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from django.utils.http import parse_http_date

from web.request_ids import HEADER as REQUEST_ID
from web.request_ids import chosen_request_id
from web.wsgi_types import Application, Headers

log = logging.getLogger(__name__)

Name = tuple[str, ...]

# In the environment of a request: its reply may be kept.
MAY_BE_CACHED = "player_sessions.may_be_cached"
# Some 1,700 reports of 12 kB, or 8,000 of 1 kB.
MOST_BYTES = 24_000_000
# Of a reply beside its body: its headers and its name.
BYTES_BESIDE_BODY = 2_000
# An address or an Accept that is longer is nobody's who wants the same report again.
MOST_KEY_CHARACTERS = 1_000
# A larger one would drive out too many others.
LARGEST_BYTES = MOST_BYTES // 24


class _Reply(NamedTuple):
    """``expires_at`` is in seconds of ``time.time()``."""

    status: str
    headers: Headers
    body: bytes
    expires_at: float


class ResponseCache:
    """A WSGI application: the replies of ``application``, again and again while they are fresh.

    They are told apart by ``cache_key``.
    """

    def __init__(self, application: Application, *, lifetime_seconds: float) -> None:
        self._application = application
        self._lifetime = lifetime_seconds
        self._ordinary = f"max-age={lifetime_seconds:.0f}"
        self._replies: dict[Name, _Reply] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = cache_key(environ)
        reply = self._replies.get(name)
        seconds_left = reply.expires_at - time.time() if reply else 0.0
        # More than its lifetime: the clock was set back.
        if reply is None or not 0 < seconds_left <= self._lifetime + 1:
            return self._new_reply(environ, start_response, name)
        age = str(max(0, int(self._lifetime - seconds_left)))
        chosen = chosen_request_id(environ)
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s %s %.3s from memory [%s]", environ["REQUEST_METHOD"], environ["PATH_INFO"], reply.status, chosen
            )
        start_response(reply.status, [*reply.headers, ("Age", age), (REQUEST_ID, chosen)])
        return [reply.body]

    def _new_reply(self, environ: dict[str, Any], start_response: Callable[..., Any], name: Name) -> Iterable[bytes]:
        head: list[tuple[str, Headers]] = []

        def begin(status: str, headers: Headers, *error: Any) -> Any:
            head.append((status, headers))
            return start_response(status, headers, *error)

        response = self._application(environ, begin)
        if MAY_BE_CACHED not in environ or getattr(response, "streaming", False):
            return response
        body = b"".join(response)
        response.close()  # type: ignore[attr-defined]  # Django's
        self._keep(name, *head[-1], body)
        return [body]

    def _keep(self, name: Name, status: str, headers: Headers, body: bytes) -> None:
        told = dict(headers)
        is_large = len(body) > LARGEST_BYTES or sum(map(len, name)) > MOST_KEY_CHARACTERS
        # One that may be cached for a shorter time is kept in Redis alone.
        is_short = told.get("Cache-Control", self._ordinary) != self._ordinary
        if is_large or is_short or "Expires" not in told:
            return
        lasting = [header for header in headers if header[0] not in (REQUEST_ID, "Age")]
        reply = _Reply(status, lasting, body, parse_http_date(told["Expires"]))
        with self._lock:
            self._forget(name)
            self._replies[name] = reply
            self._bytes += len(body) + BYTES_BESIDE_BODY
            self._make_room()

    def _make_room(self) -> None:
        """Let go what has expired or is too much, from the first that came. One that Redis gave, with less time left,
        may stay until those before it have expired.
        """
        now = time.time()
        while self._replies:
            oldest, reply = next(iter(self._replies.items()))
            if self._bytes <= MOST_BYTES and reply.expires_at > now:
                return
            self._forget(oldest)

    def _forget(self, name: Name) -> None:
        reply = self._replies.pop(name, None)
        if reply is not None:
            self._bytes -= len(reply.body) + BYTES_BESIDE_BODY


def cache_key(environ: Mapping[str, Any]) -> Name:
    """What tells a request's reply from others: method, address, and the Accept header."""
    return (
        environ["REQUEST_METHOD"],
        environ["wsgi.url_scheme"],
        environ.get("HTTP_X_FORWARDED_PROTO", ""),
        environ.get("HTTP_HOST", ""),
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        environ.get("HTTP_ACCEPT", ""),
    )
