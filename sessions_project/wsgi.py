"""The WSGI application. A server imports this module once in each worker, after any fork: here the worker connects."""

import gc
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.wsgi import get_wsgi_application

from sessions_project import signals

# A request makes some hundreds of objects that are freed without the collector; few of ours are in cycles.
NEW_OBJECTS_PER_COLLECTION = 10_000

signals.watch_if_worker()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")
django_application = get_wsgi_application()

from django.conf import settings  # noqa: E402  # it must be set up first

from access.authorization import Authorization  # noqa: E402
from access.key_set import KeySet, keep_current  # noqa: E402
from access.key_store import stored_keys  # noqa: E402
from access.limits import Limits, exchange_through_redis  # noqa: E402
from caching.memory import MemoryTier  # noqa: E402
from events.api.fast_path import batches  # noqa: E402
from events.counting import background  # noqa: E402
from metrics import sender  # noqa: E402
from reports.fast_path import players  # noqa: E402
from sessions_project import __version__  # noqa: E402
from sessions_project.scopes import OPEN_BELOW, OPEN_PATHS, scope_needed  # noqa: E402
from store import cassandra  # noqa: E402
from store.errors import StoreError  # noqa: E402
from web.compression import Compression  # noqa: E402
from web.conditional import Conditional  # noqa: E402
from web.cors import Cors  # noqa: E402
from web.fast_path import FastPath  # noqa: E402
from web.load_shedding import LoadShedding  # noqa: E402
from web.measuring import Measuring  # noqa: E402
from web.request_log import RequestLog  # noqa: E402
from web.transport import Transport  # noqa: E402
from web.wsgi_types import Application  # noqa: E402

# All objects so far stay: the collector need not look at them again, which takes milliseconds each time, 5 % in all.
gc.freeze()
gc.set_threshold(NEW_OBJECTS_PER_COLLECTION, *gc.get_threshold()[1:])

try:
    cassandra.connect()
except StoreError:
    # Serve anyway: requests get 503 and try again, and /readyz says why.
    logging.getLogger(__name__).warning("Serving without Cassandra; every request tries to connect.")

# Scripts of other pages may read addresses below this.
REPORTS = "/api/v1/reports/"


def with_keys() -> Callable[[Any], Application]:
    """Return the stage that lets requests in, and keep what it knows up to date."""
    keys = KeySet(stored_keys)
    limits = Limits(
        default_rate=settings.EVENTS_PER_SECOND, dry_run=settings.LIMITS_DRY_RUN, exchange=exchange_through_redis
    )
    keep_current(keys)
    limits.keep_exchanging()
    return partial(Authorization, keys=keys, limits=limits, scope_needed=scope_needed)


def with_request_log() -> Callable[[Any], Application]:
    """Return the stage that logs requests."""
    return partial(RequestLog, share=settings.LOG_REQUEST_SHARE, slow_seconds=settings.LOG_SLOW_SECONDS)


# What a request meets before Django, from the outside in. A stage answers, or passes the request on to the next one.
STAGES: list[Callable[[Any], Application]] = [
    # First: it makes sure that every reply arrives, whichever stage gives it.
    Transport,
    # Before all stages that answer.
    *([with_request_log()] if settings.LOG_REQUEST_SHARE or settings.LOG_SLOW_SECONDS else []),
    # Before keys: a preflight has none.
    *([partial(Cors, origins=settings.CORS_ORIGINS, path=REPORTS)] if settings.CORS_ORIGINS else []),
    # Before the first stage that answers a question.
    *([with_keys()] if settings.AUTH == "keys" else []),
    # Before all stages that answer and cache: these two look only at the headers of a reply.
    Conditional,
    Compression,
    # Before load shedding: a reply from memory costs less than a refusal.
    partial(MemoryTier, lifetime_seconds=settings.REPORT_CACHE_SECONDS),
    # After the memory tier, which counts its own replies. A stage before this one that answers must do so as well.
    Measuring,
    # Before everything that does work: a refused request has cost nothing.
    partial(
        LoadShedding,
        working=settings.WEB_THREADS,
        # What needs no key must answer under any load: a busy replica that is taken out leaves more load to the others,
        # and the page needs all of its files to say what is wrong.
        exempt=OPEN_PATHS,
        exempt_below=OPEN_BELOW,
    ),
    # Last: it replaces Django and its middleware for a batch or a player's report.
    partial(FastPath, kinds=[batches(), players()]),
]

application: Application = django_application
for stage in reversed(STAGES):
    application = stage(application)

background.start()
sender.start(version=__version__)
