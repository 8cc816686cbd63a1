"""Single flight: when a popular reply is not cached, one request builds it and the others wait for that one.

In each process requests for the same question share one reply, which needs no Redis. Between processes a short lock in
Redis holds back all but one; when Redis is unavailable each process builds for itself, without waiting.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

from caching.memory import QUESTION
from caching.replies import Reply

log = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

# A process that dies while it builds holds the others up for so long; a report that takes longer is built once in each
# process that waits.
LOCK_SECONDS = 1
# Longer than a report takes, with the wait for the lock; whoever has waited for longer builds its own.
LONGEST_WAIT_SECONDS = settings.REPORT_SECONDS + 2 * LOCK_SECONDS
# What a process that waits for another one may lose by asking too late.
POLL_SECONDS = 0.01


def single_flight(view: View, *, cache_page: Callable[[View], View], costs_more_than_a_lock: bool = True) -> View:
    """Put ``view`` behind ``cache_page``; while it is not cached, one request builds the reply that all of them get.

    One in each process when it does not cost more than a lock. Requests are the same that have the same QUESTION.
    """
    logged = _logged(view)
    if costs_more_than_a_lock:
        return _shared_in_this_process(_one_process_at_a_time(logged, cache_page=cache_page))
    return _shared_in_this_process(cache_page(logged))


def _shared_in_this_process(view: View) -> View:
    in_flight: dict[str, Future[Reply | None]] = {}
    lock = threading.Lock()

    def shared(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        question = request.META[QUESTION]
        own: Future[Reply | None] = Future()
        with lock:
            flight = in_flight.setdefault(question, own)
        reply = None
        if flight is not own:
            with suppress(TimeoutError):
                reply = flight.result(LONGEST_WAIT_SECONDS)
            return reply.response() if reply else view(request, *args, **kwargs)
        try:
            response = _rendered(view(request, *args, **kwargs))
            # One that is streamed is built by each for itself.
            reply = Reply.of(response) if isinstance(response, HttpResponse) else None
            return response
        finally:
            with lock:
                del in_flight[question]
            own.set_result(reply)

    return shared


def _one_process_at_a_time(view: View, *, cache_page: Callable[[View], View]) -> View:
    """Put ``view`` behind ``cache_page``, and where it is not cached, behind a lock that is held until it is."""
    cached = cache_page(view)

    def alone(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        lock = _Lock(f"building.{sha256(request.META[QUESTION].encode()).hexdigest()}")

        def build(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            lock.acquire()
            # Whoever has waited asks the cache again: another process may have filled it meanwhile.
            return (cached if lock.has_waited else view)(request, *args, **kwargs)

        try:
            return _rendered(cache_page(build)(request, *args, **kwargs))
        finally:
            lock.release()

    return alone


@dataclass(slots=True)
class _Lock:
    """A lock in Redis that runs out by itself; taken for granted when Redis is unavailable."""

    name: str
    has_waited: bool = False
    held_until: float = 0.0

    def acquire(self) -> None:
        """Wait until the lock is ours, or free, too old, or Redis unavailable: then go on without it."""
        redis = caches["default"]
        give_up_at = time.monotonic() + LOCK_SECONDS
        while (asked_at := time.monotonic()) <= give_up_at:
            if redis.add(self.name, True, timeout=LOCK_SECONDS):
                self.held_until = asked_at + LOCK_SECONDS
                return
            self.has_waited = True
            if redis.get(self.name) is None:
                return
            time.sleep(POLL_SECONDS)

    def release(self) -> None:
        """Let others in, unless the lock has run out: it may be another's by now."""
        if time.monotonic() < self.held_until:
            caches["default"].delete(self.name)


def _logged(view: View) -> View:
    def logged(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        log.debug("Building %s?%s", request.path, request.META["QUERY_STRING"])
        return view(request, *args, **kwargs)

    return logged


def _rendered(response: HttpResponseBase) -> HttpResponseBase:
    """Render now: DRF would, and cache_page would store, after the view has returned, when others were let in."""
    return response.render() if isinstance(response, SimpleTemplateResponse) else response
