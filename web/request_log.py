"""One line in the log for a request: for those that were slow, and for a share of all.

Off by default: the stage is then not there, and costs nothing.
"""

import logging
import math
import random
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from web.measuring import routes
from web.request_ids import chosen_request_id, under_id
from web.wsgi_types import Application

log = logging.getLogger(__name__)


class RequestLog:
    """A WSGI application: ``application``, whose requests are logged until the head of their reply.

    ``share`` of all of them, from 0 to 1, and each that takes ``slow_seconds`` or more; 0: none for being slow.
    """

    def __init__(self, application: Application, *, share: float, slow_seconds: float) -> None:
        self._application = application
        self._share = share
        self._slow_seconds = slow_seconds or math.inf

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = perf_counter()
        environ["HTTP_X_REQUEST_ID"] = name = chosen_request_id(environ)  # all that follows goes by this one
        status = "500"  # of an application that fails

        def start(line: str, *rest: Any) -> Any:
            nonlocal status
            status = line
            return start_response(line, *rest)

        with under_id(name, environ):
            try:
                return self._application(environ, start)
            finally:
                self._log(environ, int(status[:3]), seconds=perf_counter() - began)

    def _log(self, environ: dict[str, Any], status: int, *, seconds: float) -> None:
        is_slow = seconds >= self._slow_seconds
        if not is_slow and random.random() >= self._share:
            return
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        fields = {
            "method": method,
            "path": path,
            "route": routes()[path],
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            "reason": "slow" if is_slow else "sampled",
        }
        log.info("%s %s %d in %.1f ms", method, path, status, seconds * 1000, extra=fields)
