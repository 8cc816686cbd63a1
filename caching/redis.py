"""The report cache: Redis through django-redis, and never the reason of a failed or slow request."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.exceptions import ImproperlyConfigured
from django.http.response import HttpResponseBase
from django_redis.cache import RedisCache
from redis import RedisError

from metrics.catalogue import BREAKERS_OPEN, REDIS_RESULTS
from store.circuit_breaker import Breaker

log = logging.getLogger(__name__)

# Parts of cache_page's keys: of a page, and of the headers on which the pages of an address depend. It would store
# these as well; here they are known, and a page takes one exchange with Redis.
PAGE, HEADERS = ".cache_page.", ".cache_header."
HEADERS_OF_REPORTS = ["HTTP_ACCEPT"]
HOLDER = re.compile(rb"[0-9a-f]{32}")
# One request in two seconds and process pays the socket timeout to find out whether Redis is back. Of the module:
# Django makes a cache object for each thread, but Redis fails for all of them.
_breaker = Breaker(pause_seconds=2.0)
BREAKERS_OPEN.is_read_by(lambda: _breaker.is_open, "redis")
# In place of what was asked for.
_UNAVAILABLE = object()


class ReportCache(RedisCache):
    """A cache that answers "not there" while Redis is refused, stalled, full, or holds what cannot be read."""

    def get(self, key: Any, default: Any = None, version: Any = None, client: Any = None) -> Any:
        if HEADERS in key:
            return HEADERS_OF_REPORTS
        found = _guarded(lambda: self.client.get(key, default=None, version=version, client=client), _UNAVAILABLE)
        is_page = PAGE in key
        # Where a page should be, anything else is not ours, and cache_page would fail over it.
        there = found not in (None, _UNAVAILABLE) and (isinstance(found, HttpResponseBase) or not is_page)
        if is_page:
            REDIS_RESULTS.add("unavailable" if found is _UNAVAILABLE else "hit" if there else "miss")
        return found if there else default

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> Any:
        if HEADERS in key:
            if value != HEADERS_OF_REPORTS:
                raise ImproperlyConfigured(f"A report that is cached depends on {value}, not on {HEADERS_OF_REPORTS}.")
            return True
        return _guarded(lambda: self.client.set(key, value, timeout, version), False)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return _guarded(lambda: self.client.add(*args, **kwargs), False)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(_guarded(lambda: self.client.delete(*args, **kwargs), False))

    def hold(self, lease: str, holder: str, *, seconds: int) -> bool | None:
        """Whether ``holder``, 32 hexadecimal digits, has the lease from now on for so long; None: Redis does not say.

        Whatever else stands there is nobody's.
        """
        try:
            client, key = self.client.get_client(), str(self.client.make_key(lease))
            if client.set(key, holder, nx=True, ex=seconds):
                return True
            other = HOLDER.fullmatch(client.get(key) or b"")
            if other and other[0] != holder.encode():
                return False
            return bool(client.set(key, holder, ex=seconds))
        except RedisError:
            return None

    def add_to_sums(self, numbers: Mapping[str, int], *, seconds: int) -> list[int] | None:
        """Add each number to the sum of its name, and return the sums, in order; None: Redis does not say.

        A sum that nobody adds to for so many ``seconds`` is gone.
        """
        pipeline = self.client.get_client().pipeline(transaction=False)
        for name, number in numbers.items():
            key = str(self.client.make_key(name))
            pipeline.incrby(key, number)
            pipeline.expire(key, seconds)
        answers = _guarded(pipeline.execute, None)
        return answers[::2] if answers else None

    def answers(self) -> bool:
        """Whether Redis answers now, whatever the breaker says."""
        try:
            return bool(self.client.get_client().ping())
        except Exception:
            return False


def _guarded(ask: Callable[[], Any], otherwise: Any) -> Any:
    if not _breaker.allows():
        return otherwise
    asked_at = time.monotonic()
    try:
        answer = ask()
    except Exception as error:  # whatever it is, the report does not need a cache
        _breaker.failed(asked_at=asked_at)
        cause = error.__cause__ or error
        log.warning("Redis is not asked for a moment: %s: %s", type(cause).__name__, cause)
        return otherwise
    _breaker.succeeded()
    return answer
