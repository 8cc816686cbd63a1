"""Every log line of a request has its id and that of its trace; every reply has the first."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from random import getrandbits

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
# What proxies send: UUIDs, trace ids, ULIDs. Anything else could forge log lines.
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")

# W3C Trace Context: version, trace id, parent's id, flags, and perhaps more in a later version.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|\Z)")

request_id: ContextVar[str] = ContextVar("request_id", default="-")
trace_id: ContextVar[str] = ContextVar("trace_id", default="-")
log = logging.getLogger(__name__)


def chosen_request_id(environ: Mapping[str, str]) -> str:
    """Return the id that the client or its proxy has sent, if it can be logged; otherwise a new one.

    It is no secret: a UUID, of the system's random numbers, takes four times as long.
    """
    sent = environ.get("HTTP_X_REQUEST_ID", "")
    return sent if ACCEPTABLE.match(sent) else f"{getrandbits(128):032x}"


@contextmanager
def under_id(name: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Give this id, and the trace id in ``traceparent``, to everything that is logged meanwhile."""
    token = request_id.set(name)
    traceparent = environ.get("HTTP_TRACEPARENT")
    named = TRACEPARENT.match(traceparent) if traceparent else None
    trace = trace_id.set(named[1]) if named else None
    try:
        yield
    finally:
        request_id.reset(token)
        if trace:
            trace_id.reset(trace)


def log_reply(method: str | None, path: str, status: int, *, began: float) -> None:
    """Log the reply to a request: a 5xx as a warning, others at DEBUG. ``began`` is of ``time.perf_counter()``."""
    level = logging.WARNING if status >= 500 else logging.DEBUG
    if log.isEnabledFor(level):
        log.log(level, "%s %s %d in %.1f ms", method, path, status, (time.perf_counter() - began) * 1000)


class RequestIdFilter(logging.Filter):
    """Adds ``request_id`` and ``trace_id`` to every record; ``-`` outside a request, and without a trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        record.trace_id = trace_id.get()
        return True


class RequestLogMiddleware:
    """Takes the request id from the header or makes one, and logs the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = chosen_request_id(request.META)
        began = time.perf_counter()
        with under_id(name, request.META):
            response = self.get_response(request)
            log_reply(request.method, request.path, response.status_code, began=began)
        response[HEADER] = name
        return response
