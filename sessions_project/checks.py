"""Settings are checked before anything starts: each message has an id and says what to write instead."""

import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from events.domain import parse_shards

KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}\Z")
# Cassandra's limit of a TTL is 20 years. A TTL counts from the end of an event's hour, and events may be a day ahead.
MOST_RETENTION_SECONDS = 630_720_000 - 3_600 - 86_400

# Our commands run the checks with this tag; 'manage.py check' runs all.
SETTINGS_TAG = "settings"
# CASSANDRA_HOST is alike to CASSANDRA_HOSTS; CASSANDRA_HOME, which Cassandra itself reads, is not.
MOSTLY_ALIKE = 0.93


@register(SETTINGS_TAG)
def check_settings(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Return all complaints at once."""
    return [complaint for check in _CHECKS for complaint in check()]


@register(deploy=True)
def check_network(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Return what ``manage.py check --deploy`` says beside Django's own checks."""
    return [*_network()]


def refuse(complaints: Iterable[CheckMessage]) -> None:
    """Print each in a line, with what to write instead, and end the process when one of them is serious."""
    complaints = list(complaints)
    for one in complaints:
        print(f"{one.msg} {one.hint or ''} ({one.id})", file=sys.stderr)
    if any(one.is_serious() for one in complaints):
        sys.exit(1)


def _environment() -> Iterator[CheckMessage]:
    if settings.ENVIRONMENT not in ("development", "production"):
        yield _error("E001", f"ENVIRONMENT is {settings.ENVIRONMENT!r}.", "Write development or production.")
    if settings.IN_PRODUCTION and settings.SECRET_KEY == settings.DEVELOPMENT_SECRET_KEY:
        yield _error("E002", "SECRET_KEY is not set.", "Write 50 random characters, the same for every web process.")
    if settings.IN_PRODUCTION and not settings.ALLOWED_HOSTS:
        yield _error("E003", "ALLOWED_HOSTS is empty.", "Write the host names that clients use, joined by commas.")
    if settings.IN_PRODUCTION and settings.DEBUG:
        yield _error("E004", "DEBUG is on in production.", "Write DEBUG=False: it shows source code to strangers.")
    if settings.DEBUG and not _is_loopback(settings.HOST):
        yield _error("E006", f"DEBUG is on, and HOST is {settings.HOST!r}.", "Write DEBUG=False, or HOST=127.0.0.1.")

    if settings.AUTH not in ("keys", "none"):
        yield _error(
            "E005",
            f"AUTH is {settings.AUTH!r}." if settings.AUTH else "AUTH is not set.",
            "Write keys; or none, if everybody who reaches the service may store events and read all players.",
        )
    elif settings.IN_PRODUCTION and settings.AUTH == "none":
        yield _warning(
            "W001",
            "AUTH is none: everybody who reaches the service may store events and read every player.",
            "Write AUTH=keys, and make keys with 'manage.py api_keys create'.",
        )


def _bounds() -> Iterator[CheckMessage]:
    bounds = {
        "RETENTION_SECONDS": (1, MOST_RETENTION_SECONDS),
        "FUTURE_TOLERANCE_SECONDS": (0, 86_400),
        "REPORT_CACHE_SECONDS": (0, 86_400),
        "MAX_BODY_BYTES": (4_096, 67_108_864),
        "CASSANDRA_PORT": (1, 65_535),
        # Well below LATE_MS of events/late_writes.py: a write that took as long is announced again.
        "CASSANDRA_TIMEOUT_SECONDS": (0.1, 10),
        "WEB_THREADS": (1, 256),
        "WEB_WORKERS": (1, settings.MOST_WORKERS),
        "PORT": (1, 65_535),
        "KEEP_ALIVE_SECONDS": (1, 3_600),
        "EVENTS_PER_SECOND": (0, 1_000_000),
        "METRICS_PORT": (0, 65_535),
        "LOG_REQUEST_SHARE": (0, 1),
        "LOG_SLOW_SECONDS": (0, 3_600),
    }
    for number, (name, (least, most)) in enumerate(bounds.items()):
        if not least <= getattr(settings, name) <= most:
            yield _error(f"E{10 + number:03}", f"{name} is {getattr(settings, name)}.", f"Write {least} to {most}.")


def _metrics() -> Iterator[CheckMessage]:
    if settings.METRICS_PORT == settings.PORT:
        yield _error("E050", "METRICS_PORT is that of PORT.", "Write another one, or 0 for no metrics.")


def _cassandra() -> Iterator[CheckMessage]:
    if not settings.CASSANDRA_HOSTS:
        yield _error("E030", "CASSANDRA_HOSTS is empty.", "Write one or more addresses, joined by commas.")
    keyspace = settings.CASSANDRA_KEYSPACE
    if not KEYSPACE.match(keyspace):
        yield _error(
            "E031", f"CASSANDRA_KEYSPACE is {keyspace!r}.", "Write up to 48 of a-z, 0-9 and _, a letter first."
        )
    factors = settings.REPLICATION_FACTORS.items()
    if not all(name and number.isdecimal() and int(number) > 0 for name, number in factors):
        yield _error(
            "E032",
            f"CASSANDRA_REPLICATION is {settings.CASSANDRA_REPLICATION!r}.",
            "Write copies per data centre, such as datacenter1=3.",
        )
    try:
        parse_shards(settings.COUNTRY_SHARDS)
    except ValueError as error:
        yield _error("E033", f"COUNTRY_SHARDS: {error}.", "Write such as 1,US=4, or 1,US=4@2026-12-01T00:00.")


def _redis() -> Iterator[CheckMessage]:
    if not settings.REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
        yield _error("E040", "REDIS_URL is no address of a Redis.", "Write such as redis://127.0.0.1:6379/0.")


def _variables() -> Iterator[CheckMessage]:
    """Name variables that resemble settings: a misspelled one would be ignored silently."""
    for name in sorted(set(os.environ) - settings.VARIABLES):
        if name.isupper() and (near := get_close_matches(name, settings.VARIABLES, n=1, cutoff=MOSTLY_ALIKE)):
            yield _warning("W002", f"{name} is no setting of the service.", f"Write {near[0]}, if that is meant.")


def _network() -> Iterator[CheckMessage]:
    """Return what is unsafe on a network that others can listen to."""
    if "*" in settings.ALLOWED_HOSTS:
        yield _warning("W003", "ALLOWED_HOSTS takes any name.", "Write the host names that clients use.")
    if (
        settings.CASSANDRA_PASSWORD
        and not settings.CASSANDRA_CA_FILE
        and not all(map(_is_loopback, settings.CASSANDRA_HOSTS))
    ):
        yield _warning("W004", "CASSANDRA_PASSWORD is sent in the clear.", "Write CASSANDRA_CA_FILE, for TLS.")
    redis = urlsplit(settings.REDIS_URL)
    if redis.password and redis.scheme == "redis" and not _is_loopback(redis.hostname or ""):
        yield _warning("W005", "The password of REDIS_URL is sent in the clear.", "Write rediss://, for TLS.")


_CHECKS: Iterable[Callable[[], Iterator[CheckMessage]]] = (
    _environment,
    _bounds,
    _metrics,
    _cassandra,
    _redis,
    _variables,
)


def _error(number: str, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"sessions_project.{number}")


def _warning(number: str, message: str, hint: str) -> CheckMessage:
    return CheckWarning(message, hint=hint, id=f"sessions_project.{number}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
