"""The memory tier: a reply that this process has sent is sent again while it is fresh, without framework and Redis.

What may be cached is decided in reports/urls.py, which names the QUESTION of a request; for how long, by the Expires of
cache_page. So no report gets older than in Redis.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from django.utils.http import parse_http_date

from caching.replies import Reply
from metrics.catalogue import REQUEST_DURATION
from metrics.cells import Key, thread
from web.measuring import MEMORY, request_key
from web.request_ids import HEADER as REQUEST_ID
from web.request_ids import chosen_request_id
from web.wsgi_types import Application, answer_of, whole

log = logging.getLogger(__name__)

# In the environment of a request whose reply may be cached: what it asks, in the one spelling that all tiers go by.
QUESTION = "player_sessions.question"
Spelling = tuple[str, ...]

# Some 1,700 reports of 12 kB, or 8,000 of 1 kB.
MOST_BYTES = 24_000_000
# Of a reply beside its body: its headers and its question.
BYTES_BESIDE_BODY = 2_000
# A larger one would drive out too many others.
LARGEST_BYTES = MOST_BYTES // 24
# How questions were spelled by those who asked: 10 MB at most. An address or an Accept that is longer is nobody's who
# wants the same report again.
MOST_SPELLINGS, MOST_SPELLING_CHARACTERS = 5_000, 1_000


class _Entry(NamedTuple):
    """``expires_at`` is in seconds of ``time.time()``."""

    reply: Reply
    expires_at: float


class _Asked(NamedTuple):
    """What a spelling asks, and the key under which metrics count it."""

    question: str
    key: Key


_NOTHING = _Asked("", ())


class MemoryTier:
    """A WSGI application: the replies of ``application``, again and again while they are fresh."""

    def __init__(self, application: Application, *, lifetime_seconds: float) -> None:
        self._application = application
        self._lifetime = lifetime_seconds
        self._ordinary = f"max-age={lifetime_seconds:.0f}"
        self._questions: dict[Spelling, _Asked] = {}
        self._entries: dict[str, _Entry] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            return self._application(environ, start_response)
        spelling = _spelling(environ)
        question, metrics_key = self._questions.get(spelling, _NOTHING)
        entry = self._entries.get(question)
        if entry is None:
            return self._ask(environ, start_response, spelling)
        reply, expires_at = entry
        seconds_left = expires_at - time.time()
        # More than its lifetime: the clock was set back.
        if not 0 < seconds_left <= self._lifetime + 1:
            return self._ask(environ, start_response, spelling)
        age = str(max(0, int(self._lifetime - seconds_left)))
        chosen = chosen_request_id(environ)
        if log.isEnabledFor(logging.DEBUG):
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            log.debug("%s %s %.3s from memory [%s]", method, path, reply.status, chosen)
        start_response(reply.status, [*reply.headers, ("Age", age), (REQUEST_ID, chosen)])
        # Microseconds, which are below the first bound: to look at the clock again would cost a tenth of the reply.
        try:
            thread.cells[metrics_key][0] += 1
        except KeyError:
            REQUEST_DURATION.cell(metrics_key)[0] += 1
        return [reply.body]

    def _ask(self, environ: dict[str, Any], start_response: Callable[..., Any], spelling: Spelling) -> Iterable[bytes]:
        head, response = answer_of(self._application, environ)
        start_response(*head)
        if QUESTION not in environ or getattr(response, "streaming", False):
            return response
        reply = Reply(head[0], head[1], whole(response))
        self._store(spelling, environ[QUESTION], reply)
        return [reply.body]

    def _store(self, spelling: Spelling, question: str, reply: Reply) -> None:
        by_name = dict(reply.headers)
        is_large = len(reply.body) > LARGEST_BYTES or sum(map(len, spelling)) > MOST_SPELLING_CHARACTERS
        # One that may be cached for a shorter time is cached in Redis alone.
        is_short = by_name.get("Cache-Control", self._ordinary) != self._ordinary
        if is_large or is_short or "Expires" not in by_name:
            return
        lasting = [header for header in reply.headers if header[0] not in (REQUEST_ID, "Age")]
        entry = _Entry(Reply(reply.status, lasting, reply.body), parse_http_date(by_name["Expires"]))
        method, path = spelling[0], spelling[4]
        asked = _Asked(question, request_key(method, path, reply.status, answered_by=MEMORY))
        with self._lock:
            if len(self._questions) >= MOST_SPELLINGS:
                self._questions.clear()
            self._questions[spelling] = asked
            self._remove(question)
            self._entries[question] = entry
            self._bytes += len(reply.body) + BYTES_BESIDE_BODY
            self._make_room()

    def _make_room(self) -> None:
        """Remove what has expired or is too much, from the first that came.

        One that Redis gave, with less time left, may stay until those before it have expired.
        """
        now = time.time()
        while self._entries:
            oldest, entry = next(iter(self._entries.items()))
            if self._bytes <= MOST_BYTES and entry.expires_at > now:
                return
            self._remove(oldest)

    def _remove(self, question: str) -> None:
        entry = self._entries.pop(question, None)
        if entry is not None:
            self._bytes -= len(entry.reply.body) + BYTES_BESIDE_BODY


def _spelling(environ: Mapping[str, Any]) -> Spelling:
    """Return all of a request that its question is read from."""
    return (
        environ["REQUEST_METHOD"],
        environ["wsgi.url_scheme"],
        environ.get("HTTP_X_FORWARDED_PROTO", ""),
        environ.get("HTTP_HOST", ""),
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        environ.get("HTTP_ACCEPT", ""),
    )
