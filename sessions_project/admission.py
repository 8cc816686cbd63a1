"""Beyond capacity, a request waits for a moment and is then refused, so that those accepted are answered in time.

The server's own queue has no bound and does not tell how long a request has waited. So the server has more threads than
may work at a time, and the waiting happens here.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from sessions_project.health import PROBES
from sessions_project.problems import refuse

log = logging.getLogger(__name__)

Application = Callable[..., Iterable[bytes]]

# A fifth of the 500 ms that 9 of 10 replies may take; the work of those who came before takes another two.
MOST_WAIT_SECONDS = 0.1
# What one process of two on two cores gets done in half of that time: whoever comes later would wait in vain.
MOST_WAITING = 16
# Threads that neither work nor wait: two refuse, so that nothing piles up in the server's queue, also while two others
# send files (reports/spreadsheets.py) to clients that take their time.
REFUSING = 4
# Must answer whatever the load: a replica that is taken out because it is busy leaves more for the others; and the page
# is to say what is amiss, for which it needs all of its files. Neither costs much.
NEVER_REFUSED = {*PROBES, "/"}
NEVER_REFUSED_BELOW = "/static/"
# Between two lines of the log that say how many requests were refused.
TELL_SECONDS = 1.0

OVERLOADED = "More requests than can be handled. Nothing was done; send the same request again."


class Admission:
    """A WSGI application of which ``working`` requests run at a time, and at most MOST_WAITING wait their turn.

    Whoever finds the waiting room full, or waits longer than MOST_WAIT_SECONDS, gets 503 with Retry-After, and nothing
    has been done for the request.
    """

    def __init__(self, application: Application, *, working: int) -> None:
        self._application = application
        # Tokens, not semaphores: a queue is C throughout and hands over in a microsecond.
        self._seats, self._places = tokens(MOST_WAITING), tokens(working)
        self._lock = threading.Lock()
        self._refused = 0
        self._told_at = -math.inf

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path in NEVER_REFUSED or path.startswith(NEVER_REFUSED_BELOW):
            return self._application(environ, start_response)
        if not self._may_begin():
            self._count_refusal()
            return refuse(environ, start_response, code="overloaded", detail=OVERLOADED)
        try:
            return self._application(environ, start_response)
        finally:
            self._places.put(None)

    def _may_begin(self) -> bool:
        # Whoever comes while others wait goes behind them; overtaken again and again, they would be refused.
        if self._seats.qsize() < MOST_WAITING:
            return self._may_begin_later()
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

    def _count_refusal(self) -> None:
        with self._lock:
            self._refused += 1
            if (now := time.monotonic()) < self._told_at + TELL_SECONDS:
                return
            number, self._refused, self._told_at = self._refused, 0, now
        log.warning("More requests than can be handled: %d refused since this was last said", number)


def server_threads(*, working: int) -> int:
    """How many threads a server needs that has no other queue than this one."""
    return working + MOST_WAITING + REFUSING


def tokens(number: int) -> SimpleQueue[None]:
    """So many things to take and put back."""
    queue: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        queue.put(None)
    return queue
