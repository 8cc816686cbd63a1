"""What ``python -m sessions_project`` prints before it serves: what it found, not only how it is configured."""

import socket
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import caches

from caching.redis import ReportCache
from sessions_project import __version__
from sessions_project.store_state import store_state

REDIS_TROUBLE = "does not answer; reports are not cached until it does"


def startup_report() -> str:
    """Return a title, and a line for each part of the service. Asks Cassandra and Redis."""
    parts = dict(_parts())
    width = max(map(len, parts))
    lines = [f"  {name:{width}}  {found}" for name, found in parts.items()]
    return "\n".join([f"Player sessions {__version__}, {settings.ENVIRONMENT} (Ctrl-C stops)", *lines])


def _parts() -> Iterator[tuple[str, str]]:
    yield "address", f"{settings.ADDRESS}/ (WEB_WORKERS {settings.WEB_WORKERS}, WEB_THREADS {settings.WEB_THREADS})"
    nodes = ", ".join(f"{host}:{settings.CASSANDRA_PORT}" for host in settings.CASSANDRA_HOSTS)
    store = store_state()
    found = store.trouble or f"ready{store.note}"
    yield "store", f"Cassandra at {nodes}, keyspace {settings.CASSANDRA_KEYSPACE}: {found}"
    answers = cast(ReportCache, caches["default"]).answers()
    yield "cache", f"Redis at {_without_secrets(settings.REDIS_URL)}: {'ready' if answers else REDIS_TROUBLE}"
    yield "keys", "every request needs one" if settings.AUTH == "keys" else "none is asked for"
    yield "metrics", _metrics() if settings.METRICS_PORT else "off"


def _metrics() -> str:
    where = f"http://{settings.METRICS_HOST}:{settings.METRICS_PORT}/metrics"
    try:
        family = socket.AF_INET6 if ":" in settings.METRICS_HOST else socket.AF_INET
        socket.create_server((settings.METRICS_HOST, settings.METRICS_PORT), family=family).close()
    except OSError as error:
        return f"not at {where} yet: {error.strerror}; METRICS_PORT chooses another port, 0 none"
    return where


def _without_secrets(url: str) -> str:
    """Return where a URL leads, without the name and password that it may have."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path
