"""When a popular report leaves the cache, one request builds it and the others wait for that one.

In each process requests for the same report share one answer, which needs no Redis. Between processes a short lock in
Redis holds back all but one; when Redis is away each process builds for itself, without waiting.
"""

import logging
import pickle
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

from caching.memory import cache_key

log = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

# A process that dies while it builds holds the others up for so long; a report that takes longer is built once in each
# process that waits.
LOCK_SECONDS = 1
# Longer than a report takes, with the wait for the lock; whoever has waited for longer helps himself.
LONGEST_WAIT_SECONDS = settings.REPORT_SECONDS + 2 * LOCK_SECONDS
# What a process that waits for another one may lose by asking too late.
POLL_SECONDS = 0.01


def single_flight(view: View, *, cache_page: Callable[[View], View], costs_more_than_a_lock: bool = True) -> View:
    """``view`` behind ``cache_page``; while it is not cached, one request builds it and the others get the same reply.

    One in each process when it does not cost more than a lock. Replies must depend on nothing but the method, the
    address and the Accept header.
    """
    logged = _logged(view)
    if costs_more_than_a_lock:
        return _shared_in_this_process(_one_process_at_a_time(logged, cache_page=cache_page))
    return _shared_in_this_process(cache_page(logged))


class _Build:
    """A reply that a thread of this process is about to have."""

    def __init__(self) -> None:
        self.waiting = 0
        self._done = threading.Event()
        self._pickled: bytes | None = None

    def finish(self, response: HttpResponseBase | None) -> None:
        """Give it to those who wait. None, or one that is streamed: each of them builds for himself."""
        if self.waiting and response is not None and not response.streaming:
            self._pickled = pickle.dumps(response)
        self._done.set()

    def wait(self) -> HttpResponseBase | None:
        """A copy of the reply, which the caller may change."""
        self._done.wait(LONGEST_WAIT_SECONDS)
        return pickle.loads(self._pickled) if self._pickled else None  # noqa: S301  # pickled above, in this process


def _shared_in_this_process(view: View) -> View:
    builds: dict[Hashable, _Build] = {}
    lock = threading.Lock()

    def shared(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        name = cache_key(request.META)
        with lock:
            ours = name not in builds
            build = builds.setdefault(name, _Build())
            build.waiting += not ours
        if not ours:
            return build.wait() or view(request, *args, **kwargs)
        response = None
        try:
            response = _rendered(view(request, *args, **kwargs))
        finally:
            with lock:
                del builds[name]
            build.finish(response)
        return response

    return shared


def _one_process_at_a_time(view: View, *, cache_page: Callable[[View], View]) -> View:
    """``view`` behind ``cache_page``, and where it is not cached, behind a lock that is held until it is."""
    cached = cache_page(view)

    def alone(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        lock = f"building.{sha256(repr(cache_key(request.META)).encode()).hexdigest()}"
        hold = _Hold()

        def build(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            hold.take(lock)
            # Whoever has waited asks the cache again: another process may have filled it meanwhile.
            return (cached if hold.has_waited else view)(request, *args, **kwargs)

        try:
            return _rendered(cache_page(build)(request, *args, **kwargs))
        finally:
            if hold.lasts():
                caches["default"].delete(lock)

    return alone


@dataclass(slots=True)
class _Hold:
    """What became of an attempt to take a lock."""

    has_waited: bool = False
    until: float = 0.0

    def take(self, lock: str) -> None:
        """Wait until the lock is ours, or free, too old, or Redis away: then go on without it."""
        redis = caches["default"]
        give_up_at = time.monotonic() + LOCK_SECONDS
        while (asked_at := time.monotonic()) <= give_up_at:
            if redis.add(lock, True, timeout=LOCK_SECONDS):
                self.until = asked_at + LOCK_SECONDS
                return
            self.has_waited = True
            if redis.get(lock) is None:
                return
            time.sleep(POLL_SECONDS)

    def lasts(self) -> bool:
        """Whether the lock is still ours: one that has run out may be another's by now."""
        return time.monotonic() < self.until


def _logged(view: View) -> View:
    def logged(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        log.debug("Building %s", request.get_full_path())
        return view(request, *args, **kwargs)

    return logged


def _rendered(response: HttpResponseBase) -> HttpResponseBase:
    """DRF renders, and cache_page stores, after the view has returned: here it must be before others are let in."""
    return response.render() if isinstance(response, SimpleTemplateResponse) else response
