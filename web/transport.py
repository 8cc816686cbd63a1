"""The outermost stage of a request: what the server, Granian, leaves to its application.

- When a reply leaves a body unread, the server closes the connection without a word while the client still sends: the
  client gets a broken pipe instead of the reply, and loses its next request. So the body is read to its end first,
  within bounds; beyond them the reply says ``Connection: close``. It is read before the reply, because not all clients
  of HTTP/2 accept a reply while they send.
- A ``Content-Type`` or ``Accept`` with parameters in the form of RFC 2231 (``x*=...``), which mean nothing here, can
  make Django fail, even while it answers an error: all parameters of such a header are removed.
- ``Content_Type`` and ``Content_Length`` arrive as separate headers, which Django and DRF take for the real ones: they
  are removed as well.
- A method arrives as it was written, and Django takes ``get`` for ``GET``. So it is made upper case for every stage:
  otherwise a key for writing could read, and the events of ``post`` would be charged to no key.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from web.worker_slots import WorkerSlots
from web.wsgi_types import Application, answer_of

# Game engines queue 5 MB on disk. A client that sends more than this by mistake gets a broken pipe.
MOST_DRAINED_BYTES = 32 * 1024 * 1024
# 20 MB at 16 Mbit/s. Looked at after each piece, whose reading has no timeout of its own.
MOST_DRAINING_SECONDS = 10.0
PIECE_BYTES = 65_536
# Reading a body may hold a thread of the server for as long as the client sends nothing, so this many threads are for
# it alone. A body of ordinary size has usually arrived, and takes microseconds.
MOST_DRAINING = 8
# Refused batches come by the hundred, and each body is read in a moment: the next one waits for it.
WAITING_TO_DRAIN, WAIT_SECONDS = 64, 0.1
# What Django decodes by RFC 2231.
EXTENDED_PARAMETER = re.compile(r"\*\s*=")
# The real ones have no HTTP_ before them.
FORGED = ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH")


class Body:
    """The input of a request, and how many bytes of it are ``left``: infinitely many if nobody knows."""

    __slots__ = ("_stream", "begun", "left")

    def __init__(self, stream: Any, length: float) -> None:
        self._stream = stream
        self.left = length
        self.begun = False

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes; fewer at the end only, be it too early or not."""
        self.begun = True
        data: bytes = self._stream.read(size)
        self.left = self.left - size if len(data) == size else 0
        return data

    @property
    def readline(self) -> Callable[..., bytes]:
        """Return the method that Django looks for; nothing calls it."""
        lines: Callable[..., bytes] = self._stream.readline
        return lines


class Transport:
    """A WSGI application: ``application``, whose replies arrive even if it leaves a body unread."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._drains = WorkerSlots(MOST_DRAINING, waiting=WAITING_TO_DRAIN, seconds=WAIT_SECONDS)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name in FORGED:
            environ.pop(name, None)
        environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"].upper()
        for name in ("CONTENT_TYPE", "HTTP_ACCEPT"):
            if "=" in (value := environ.get(name, "")) and EXTENDED_PARAMETER.search(value):
                environ[name] = _without_parameters(value)
        length = _body_length(environ)
        if not length:
            return self._application(environ, start_response)
        body = environ["wsgi.input"] = Body(environ["wsgi.input"], length)
        # Read here, not within the application, where the request would still hold its worker slot.
        (status, headers, *error), reply = answer_of(self._application, environ)
        if body.left and not self._drain(body, waits="HTTP_EXPECT" in environ):
            headers = [*headers, ("Connection", "close")]
        start_response(status, headers, *error)
        return reply

    def _drain(self, body: Body, *, waits: bool) -> bool:
        """Return whether the body has been read to its end. ``waits``: the client sends it when it is asked to."""
        if MOST_DRAINED_BYTES < body.left < math.inf or (waits and not body.begun):
            return False
        if not self._drains.acquire():
            return False
        try:
            return _read_to_the_end(body)
        finally:
            self._drains.release()


def _without_parameters(value: str) -> str:
    """Return the media types of a header.

    >>> _without_parameters("text/html;x*=a'en'b, */*;q=0.1")
    'text/html, */*'
    """
    return ",".join(one.partition(";")[0] for one in value.split(","))


def _body_length(environ: Mapping[str, Any]) -> float:
    """Return how many bytes the client announces; infinitely many when it sends some and does not say how many."""
    length = environ.get("CONTENT_LENGTH")
    if length is None:
        return math.inf if "HTTP_TRANSFER_ENCODING" in environ or environ["SERVER_PROTOCOL"] == "HTTP/2" else 0
    return int(length) if length.isdecimal() else math.inf


def _read_to_the_end(body: Body) -> bool:
    until, most = time.monotonic() + MOST_DRAINING_SECONDS, MOST_DRAINED_BYTES
    while body.left and most > 0 and time.monotonic() < until:
        most -= len(body.read(PIECE_BYTES))
    return not body.left
