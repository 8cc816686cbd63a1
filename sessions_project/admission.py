"""Beyond capacity, requests wait for a bounded time and are then refused: a queue that grows helps nobody.

The server's own queue has no bound and does not say how long a request has waited. So it has more threads than may work
at a time, and the waiting happens here.
"""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Any

from sessions_project.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, problem

Application = Callable[..., Iterable[bytes]]

# Half of the 500 ms that 9 of 10 replies may take; the other half is for the work.
MOST_WAIT_SECONDS = 0.25
# What one process gets done in that time, with some to spare. Each is a thread that sleeps.
MOST_WAITING = 60
# Must answer whatever the load.
NEVER_REFUSED = "/livez"

_STATUS = HTTPStatus.SERVICE_UNAVAILABLE


class Admission:
    """A WSGI application of which ``working`` requests run at a time, and at most MOST_WAITING wait their turn.

    Whoever finds the waiting room full, or waits longer than MOST_WAIT_SECONDS, gets 503 with Retry-After, and nothing
    has been done for the request.
    """

    def __init__(self, application: Application, *, working: int) -> None:
        self._application = application
        # Tokens, not semaphores: a queue is C throughout and hands over in a microsecond.
        self._seats, self._places = tokens(MOST_WAITING), tokens(working)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == NEVER_REFUSED:
            return self._application(environ, start_response)
        if not self._may_begin():
            return refuse(start_response)
        try:
            return self._application(environ, start_response)
        finally:
            self._places.put(None)

    def _may_begin(self) -> bool:
        try:
            self._places.get_nowait()
        except Empty:
            return self._may_begin_later()
        return True

    def _may_begin_later(self) -> bool:
        try:
            self._seats.get_nowait()
        except Empty:
            return False
        try:
            self._places.get(timeout=MOST_WAIT_SECONDS)
        except Empty:
            return False
        finally:
            self._seats.put(None)
        return True


def tokens(number: int) -> SimpleQueue[None]:
    """So many things to take and put back."""
    queue: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        queue.put(None)
    return queue


def refuse(start_response: Callable[..., Any]) -> Iterable[bytes]:
    """503, without any of the framework."""
    detail = "More requests than can be handled. Nothing was done; send the same request again."
    body = json.dumps(problem(status=_STATUS, code="overloaded", detail=detail)).encode()
    headers = [
        ("Content-Type", MEDIA_TYPE),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(RETRY_AFTER_SECONDS)),
    ]
    start_response(f"{_STATUS.value} {_STATUS.phrase}", headers)
    return [body]
