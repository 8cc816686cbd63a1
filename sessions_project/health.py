"""Is this process alive, and can it serve?"""

import math
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, cast

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from caching.redis import ReportCache
from sessions_project.store_state import TOO_LATE, store_state
from web.problems import RETRY_AFTER_SECONDS


class HealthMiddleware:
    """Answers PROBES before the Host is checked: load balancers use the address of a machine."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return PROBES.get(request.path, self.get_response)(request)


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as this process answers."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when reports can be read and the tables are as this version needs them, else 503.

    A store that answers too late is a reason for 503 only after PATIENCE_SECONDS: every replica has the same store, and
    taking all of them out because it is slow would not help. The body says what is missing. It also has the state of
    Redis, which is not required.
    """
    is_ready, checks = _readiness.look()
    if not is_ready:
        return JsonResponse(
            {"status": "not ready", "checks": checks},
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    return JsonResponse({"status": "ready", "checks": checks})


PROBES = {"/livez": livez, "/readyz": readyz}

# About two or three probes of a load balancer.
PATIENCE_SECONDS = 10.0
# A look reads as much as a report, and whoever reaches the service may ask for it.
SECONDS_BETWEEN_LOOKS = 1.0


class Patience:
    """Tolerates a store that answers too late, for PATIENCE_SECONDS."""

    def __init__(self) -> None:
        self._late_since: float | None = None

    def is_over(self, trouble: str | None) -> bool:
        """Return whether the trouble that was found now is a reason not to serve."""
        if trouble != TOO_LATE:
            self._late_since = None
            return trouble is not None
        now = time.monotonic()
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since >= PATIENCE_SECONDS


class Found(NamedTuple):
    """Whether this process can serve, and the state of what it needs."""

    is_ready: bool
    checks: dict[str, str]


class Readiness:
    """Whether this process can serve, found out once in SECONDS_BETWEEN_LOOKS, by one request at a time."""

    def __init__(self) -> None:
        self._patience = Patience()
        self._lock = threading.Lock()
        self._looked_at = -math.inf
        self._found = Found(is_ready=False, checks={})

    def look(self) -> Found:
        """Return what was found within SECONDS_BETWEEN_LOOKS, or, while another request looks, what was found last."""
        never_looked = not self._found.checks
        if self._lock.acquire(blocking=never_looked):
            try:
                if time.monotonic() - self._looked_at >= SECONDS_BETWEEN_LOOKS:
                    self._found = self._look_now()
                    self._looked_at = time.monotonic()
            finally:
                self._lock.release()
        return self._found

    def _look_now(self) -> Found:
        store, redis = store_state(), cast(ReportCache, caches["default"])
        checks = {
            "cassandra": store.trouble or f"ok{store.note}",
            "redis": "ok" if redis.answers() else "unavailable: reports are not cached",
        }
        return Found(not self._patience.is_over(store.trouble), checks)


_readiness = Readiness()
