"""Beyond capacity, a request waits for a moment and is then refused, so that those accepted are answered in time.

The server's own queue has no bound and does not tell how long a request has waited. So the server has more threads than
may work at a time, and the waiting happens here. Readers never have all of the slots: some are reserved for batches.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from metrics.catalogue import REQUESTS_WAITING, WORKER_SLOTS_USED
from web.problems import refuse
from web.server_threads import MOST_WAITING
from web.worker_slots import WorkerSlots
from web.wsgi_types import Application

log = logging.getLogger(__name__)

# A fifth of the 500 ms that 9 of 10 replies may take; the work of those who came before takes another two.
MOST_WAIT_SECONDS = 0.1
# Of the slots so many, but at most half, are for batches alone. A batch has its slot for some milliseconds, so four
# store hundreds a second.
RESERVED_FOR_BATCHES = 4
# Between two lines of the log that say how many requests were refused.
SECONDS_BETWEEN_LOG_LINES = 1.0

OVERLOADED = "More requests than can be handled. Nothing was done; send the same request again."


class LoadShedding:
    """A WSGI application of which ``working`` requests run at a time, and at most MOST_WAITING wait their turn.

    Fewer of them are readers: what posts batches takes a slot of all, anything else one of the readers' first.
    Whoever finds the queue full, or waits longer than MOST_WAIT_SECONDS, gets 503 with Retry-After, and nothing
    has been done for the request.
    """

    def __init__(
        self, application: Application, *, working: int, exempt: Collection[str] = (), exempt_below: str | None = None
    ) -> None:
        self._application = application
        self._exempt, self._exempt_below = exempt, exempt_below
        self._all_slots = WorkerSlots(working, waiting=MOST_WAITING, seconds=MOST_WAIT_SECONDS)
        self._reader_slots = WorkerSlots(readers(working=working), waiting=MOST_WAITING, seconds=MOST_WAIT_SECONDS)
        for kind, slots in (("all", self._all_slots), ("reader", self._reader_slots)):
            WORKER_SLOTS_USED.is_read_by(slots.used, kind)
            REQUESTS_WAITING.is_read_by(slots.waiting, kind)
        self._lock = threading.Lock()
        self._refused = 0
        self._logged_at = -math.inf

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path in self._exempt or (self._exempt_below and path.startswith(self._exempt_below)):
            return self._application(environ, start_response)
        needed = [self._all_slots] if environ["REQUEST_METHOD"] == "POST" else [self._reader_slots, self._all_slots]
        taken: list[WorkerSlots] = []
        try:
            for slots in needed:
                if not slots.acquire():
                    self._count_refusal()
                    return refuse(environ, start_response, code="overloaded", detail=OVERLOADED)
                taken.append(slots)
            return self._application(environ, start_response)
        finally:
            for slots in taken:
                slots.release()

    def _count_refusal(self) -> None:
        with self._lock:
            self._refused += 1
            if (now := time.monotonic()) < self._logged_at + SECONDS_BETWEEN_LOG_LINES:
                return
            number, self._refused, self._logged_at = self._refused, 0, now
        log.warning("More requests than can be handled: %d refused since the last such line", number)


def readers(*, working: int) -> int:
    """Return how many of the requests that work at a time may be readers."""
    return working - min(RESERVED_FOR_BATCHES, working // 2)
