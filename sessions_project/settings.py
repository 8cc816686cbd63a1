"""Every setting of the service, all from the environment (or a ``.env`` file); ``.env.example`` lists the variables.

The values are checked by the system checks in ``sessions_project/checks.py``, which every command and the server run.
"""

import logging
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import environ
from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, ExecutionProfile
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
)
from cassandra.query import tuple_factory

from sessions_project import __version__
from store.load_balancing import SECOND_COUNT_SECONDS, SECOND_TRY_SECONDS, ResponsiveNodesFirst

BASE_DIR = Path(__file__).resolve().parent.parent

environ.Env.read_env(BASE_DIR / ".env")
VARIABLES: set[str] = set()  # names of those that were asked for
YES, NO = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def _whole_number(name: str, default: int) -> int:
    return int(_number(name, default, int))


def _number(name: str, default: float, kind: type[int] | type[float] = float) -> float:
    written = _text(name, str(default))
    try:
        return kind(written)
    except ValueError:
        # It is too early for a system check.
        raise SystemExit(f"The setting {name} is {written!r}. Write a number, such as {default}.") from None


def _list(name: str, default: str) -> list[str]:
    return [item.strip() for item in _text(name, default).split(",") if item.strip()]


def _tls(*, authority: str, certificate: str, key: str, checks_names: bool) -> ssl.SSLContext:
    name, path = "CASSANDRA_CA_FILE", authority
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate:
            name, path = "CASSANDRA_CERT_FILE", certificate
            context.load_cert_chain(certificate, key or None)
    except OSError as error:
        raise SystemExit(f"The setting {name} is {path!r}: {error}. Write the path of a PEM file.") from None
    context.check_hostname = checks_names
    return context


def _text(name: str, default: str) -> str:
    """Return the variable as it is, or the default when it is empty.

    Not by env.str, which takes a value that begins with $ for the name of another variable.
    """
    VARIABLES.add(name)
    return os.environ.get(name) or default


def _flag(name: str, *, default: bool) -> bool:
    written = _text(name, str(default)).lower()
    if written not in YES | NO:
        raise SystemExit(f"The setting {name} is {written!r}. Write True or False.")
    return written in YES


# --- Django -----------------------------------------------------------------------------------------------------------

# "development" or "production". Production has no browsable API, logs JSON, and needs SECRET_KEY, ALLOWED_HOSTS and
# "AUTH".
ENVIRONMENT = _text("ENVIRONMENT", "development")
IN_PRODUCTION = ENVIRONMENT == "production"
# Django's own; never in production.
DEBUG = _flag("DEBUG", default=False)
DEVELOPMENT_SECRET_KEY = "for-development-only"  # noqa: S105  # the system check refuses it in production
# Signs the cursors of paged reports, and is the key of the hashes that logs have in place of the ids of erased players.
# Every web process and command of one service needs the same.
SECRET_KEY = _text("SECRET_KEY", DEVELOPMENT_SECRET_KEY)
# Former values: cursors that were signed with one of them are still valid. Remove them after a day.
SECRET_KEY_FALLBACKS = _list("SECRET_KEY_FALLBACKS", "")
# Host names that clients use.
ALLOWED_HOSTS = _list("ALLOWED_HOSTS", "" if IN_PRODUCTION else "localhost,127.0.0.1,[::1]")

INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "events",  # before the engine: of two commands of one name the first app's is run
    "django_cassandra_engine",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "sessions_project",
    "access",
    "reports",
    "dashboard",
]
MIDDLEWARE = [
    "web.request_ids.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "web.static_files.StaticFilesMiddleware",
    "web.compression.CompressibleMiddleware",
    "web.problems.NotAllowedMiddleware",
    "sessions_project.health.HealthMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "sessions_project.urls"
WSGI_APPLICATION = "sessions_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
    }
]
STATIC_URL = "static/"
# Static files come straight from the installed packages: nothing to collect before the first request.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
STORAGES = {"staticfiles": {"BACKEND": "web.static_files.HashedStorage"}}
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
# A browser that has reached the service over TLS uses only TLS for a year.
SECURE_HSTS_SECONDS = 31_536_000 if IN_PRODUCTION else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # no cookie gives access, and what a browser sends by itself may only read
    "security.W005",  # whether other names of the domain use TLS is not ours to decide
    "security.W021",  # the same, and it cannot be undone for months
    "security.W008",  # TLS ends at the proxy, which redirects
]
# Addresses under /api/ end in a slash. web.problems.not_found redirects a GET without it; Django would redirect a POST
# as well, and lose its body.
APPEND_SLASH = False

# --- The service's own rules ------------------------------------------------------------------------------------------

# How long an event is stored, counted from when it happened: a year of 365.25 days. Events keep the time to live that
# they were stored with. After you lower it, "manage.py audit_store --fix" rewrites them; after you raise it, stored
# events still expire as before. Expiry dates after 2038-01-19 need a Cassandra with "storage_compatibility_mode: NONE".
RETENTION_SECONDS = _whole_number("RETENTION_SECONDS", 31_557_600)
# How far a sender's clock may be ahead of ours.
FUTURE_TOLERANCE_SECONDS = _whole_number("FUTURE_TOLERANCE_SECONDS", 300)
# How old a report may be, in seconds.
REPORT_CACHE_SECONDS = CACHE_MIDDLEWARE_SECONDS = _whole_number("REPORT_CACHE_SECONDS", 50)
# Over how many partitions the starts of one country and hour are spread: "2" for all, "1,US=4,IN=2" with exceptions.
# From 350 starts a second of one country on, use more than one. To change it, add a number with the future hour (UTC)
# from which it holds, "1,US=4@2026-12-01T00:00", in every process, five minutes before that hour.
COUNTRY_SHARDS = _text("COUNTRY_SHARDS", "1")
# Whether processes of release 1.0 run on the same tables, or may run again: see events/counting/mixed_releases.py. Set
# it to "False" once all are of this release.
MIXED_RELEASES = _flag("MIXED_RELEASES", default=True)
# The largest body of a request, as sent or decompressed. Ten events are 3 kB of JSON; the rest is room for fields that
# the service ignores.
MAX_BODY_BYTES = _whole_number("MAX_BODY_BYTES", 262_144)

# --- Who may do what --------------------------------------------------------------------------------------------------

# "keys": every request needs a key ("manage.py api_keys"); "none": everybody who reaches the service may store events
# and read everything. Production does not start without a choice.
AUTH = _text("AUTH", "" if IN_PRODUCTION else "none")
# How many events a second a key without a limit of its own may send; 0: no limit.
EVENTS_PER_SECOND = _whole_number("EVENTS_PER_SECOND", 0)
# Whether requests beyond a limit are only logged and not refused, to see which keys a limit would affect.
LIMITS_DRY_RUN = _flag("LIMITS_DRY_RUN", default=False)
# Origins of other pages whose scripts may read reports, such as "https://ops.example.org". They may never write.
CORS_ORIGINS = _list("CORS_ORIGINS", "")

# --- Serving ----------------------------------------------------------------------------------------------------------

# The address to serve on; "0.0.0.0" for all.
HOST = _text("HOST", "127.0.0.1")
# The port to serve on.
PORT = _whole_number("PORT", 8000)
# For people.
ADDRESS = f"http://{f'[{HOST}]' if ':' in HOST else HOST}:{PORT}"
MOST_WORKERS = 256
# How many web processes. Each has its own driver session.
WEB_WORKERS = _whole_number("WEB_WORKERS", min(os.cpu_count() or 1, MOST_WORKERS))
# How many requests one process works on at a time; a few more wait, and the rest get 503. Four of these threads, but at
# most half, are reserved for batches. With 4 threads, 8 % of the requests of `make load` were refused while reports
# counted; with 32, threads wait for the interpreter's lock.
WEB_THREADS = _whole_number("WEB_THREADS", 16)
# The address to serve metrics on (docs/reference/metrics.md); everybody who can connect may read them. "0.0.0.0" for
# all.
METRICS_HOST = _text("METRICS_HOST", "127.0.0.1")
# The port to serve metrics on, at "/metrics"; 0 for none. While another program has the port, the service runs without
# metrics, and tries again every second.
METRICS_PORT = _whole_number("METRICS_PORT", 9464)
# How long an idle connection stays open. A proxy or load balancer must close its connections first (by default often
# after 60 s): a request that meets a closing connection is lost.
KEEP_ALIVE_SECONDS = _whole_number("KEEP_ALIVE_SECONDS", 75)
# Whether a proxy ends TLS, and links are https. Only behind a proxy that sets X-Forwarded-Proto itself: otherwise the
# clients choose the scheme of links.
BEHIND_TLS_PROXY = _flag("BEHIND_TLS_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None

# --- Cassandra --------------------------------------------------------------------------------------------------------

# One or more nodes, joined by commas. When it is set, "make" uses them instead of starting one.
CASSANDRA_HOSTS = _list("CASSANDRA_HOSTS", "127.0.0.1")
# The port of all nodes.
CASSANDRA_PORT = _whole_number("CASSANDRA_PORT", 9042)
# The keyspace of the tables.
CASSANDRA_KEYSPACE = _text("CASSANDRA_KEYSPACE", "player_sessions")
# The role, for a cluster with authentication.
CASSANDRA_USER = _text("CASSANDRA_USER", "")
# The password of "CASSANDRA_USER".
CASSANDRA_PASSWORD = _text("CASSANDRA_PASSWORD", "")
# A PEM file of the authority that has signed the nodes' certificates; when it is set, connections use TLS.
CASSANDRA_CA_FILE = _text("CASSANDRA_CA_FILE", "")
# Whether each node's certificate must name the address of the node. If not, use an authority that signs certificates of
# these nodes only.
CASSANDRA_CHECK_NAMES = _flag("CASSANDRA_CHECK_NAMES", default=False)
# A PEM file of the service's own certificate, for nodes that ask for one. It also has the key, unless that is in
# "CASSANDRA_KEY_FILE".
CASSANDRA_CERT_FILE = _text("CASSANDRA_CERT_FILE", "")
# A PEM file of the key of "CASSANDRA_CERT_FILE".
CASSANDRA_KEY_FILE = _text("CASSANDRA_KEY_FILE", "")
CASSANDRA_TLS = (
    _tls(
        authority=CASSANDRA_CA_FILE,
        certificate=CASSANDRA_CERT_FILE,
        key=CASSANDRA_KEY_FILE,
        checks_names=CASSANDRA_CHECK_NAMES,
    )
    if CASSANDRA_CA_FILE
    else None
)
# The data centre of "LOCAL_QUORUM", as "nodetool status" names it.
CASSANDRA_LOCAL_DATACENTER = _text("CASSANDRA_LOCAL_DATACENTER", "datacenter1")
# Copies per data centre when the keyspace is created, "datacenter1=3,datacenter2=3". With one copy, a lost node loses
# its events.
CASSANDRA_REPLICATION = _text("CASSANDRA_REPLICATION", f"{CASSANDRA_LOCAL_DATACENTER}=1")
REPLICATION_IS_GIVEN = bool(os.environ.get("CASSANDRA_REPLICATION"))
REPLICATION_FACTORS = {
    name.strip(): number.strip() for name, _, number in (one.partition("=") for one in CASSANDRA_REPLICATION.split(","))
}
# How long a write, or a read other than a count, may take before the reply is 503; a report may take twice as long.
# Change "read_request_timeout" of the nodes with it. A 503 should come within 2.5 s, so this leaves room for the reply.
CASSANDRA_TIMEOUT_SECONDS = _number("CASSANDRA_TIMEOUT_SECONDS", 2.0)
# For all reads of a report together: it may have much to count.
REPORT_SECONDS = 2 * CASSANDRA_TIMEOUT_SECONDS


def _profile(*, counting: bool = False, **options: Any) -> ExecutionProfile:
    """Return how statements are sent.

    Those that count have a late second try, and never probe an unresponsive node.
    """
    second_try_seconds = SECOND_COUNT_SECONDS if counting else SECOND_TRY_SECONDS
    in_this_centre = DCAwareRoundRobinPolicy(local_dc=CASSANDRA_LOCAL_DATACENTER)
    return ExecutionProfile(
        load_balancing_policy=ResponsiveNodesFirst(in_this_centre, probes_unresponsive=not counting),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        # A node that pauses costs this delay, not the whole timeout: every statement here is idempotent. Only once: a
        # ring of three has then one node left to repeat at when a connection breaks.
        speculative_execution_policy=ConstantSpeculativeExecutionPolicy(delay=second_try_seconds, max_attempts=1),
        **options,
    )


# The hot path's profile: rows are plain tuples. cqlengine uses the default profile, for the schema only.
CASSANDRA_PROFILE = "requests"
CASSANDRA_COUNTING_PROFILE = "counts"
DATABASES = {
    # No relational database; a Cassandra under this name would break `manage.py` commands whenever it is down.
    "default": {},
    "cassandra": {
        "ENGINE": "django_cassandra_engine",
        "NAME": CASSANDRA_KEYSPACE,
        "HOST": ",".join(CASSANDRA_HOSTS),
        "OPTIONS": {
            "replication": {
                "strategy_class": "NetworkTopologyStrategy",
                **REPLICATION_FACTORS,
            },
            "connection": {
                # Connected once per worker by store/cassandra.py: never at import time, never before a fork.
                "lazy_connect": True,
                "port": CASSANDRA_PORT,
                "ssl_context": CASSANDRA_TLS,
                "auth_provider": (
                    PlainTextAuthProvider(CASSANDRA_USER, CASSANDRA_PASSWORD) if CASSANDRA_USER else None
                ),
                "execution_profiles": {
                    # DDL on a busy ring takes seconds.
                    EXEC_PROFILE_DEFAULT: _profile(request_timeout=30),
                    CASSANDRA_PROFILE: _profile(row_factory=tuple_factory),
                    CASSANDRA_COUNTING_PROFILE: _profile(row_factory=tuple_factory, counting=True),
                },
                # A node prepares a statement when it first gets it; preparing everywhere would wait for a paused node.
                "prepare_on_all_hosts": False,
                # These threads repeat requests at the next node, and connect, for up to connect_timeout each. With the
                # default of 2, requests of a lost node would wait for attempts to connect to it.
                "executor_threads": 16,
                # A request that finds no connection waits for these, one after the other, and 5 s are its limit.
                "connect_timeout": 1.0,
                "control_connection_timeout": 1.0,
                # The driver's defaults (600 s back-off, 30 s + 30 s heartbeat) would miss a node's return for minutes.
                "reconnection_policy": ExponentialReconnectionPolicy(base_delay=0.5, max_delay=4, max_attempts=None),
                "idle_heartbeat_interval": 5,
                "idle_heartbeat_timeout": 5,
                # Otherwise a batch after another one on a connection waits for an acknowledgement, which TCP delays by
                # 40 ms.
                "sockopts": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            },
        },
    },
}

# --- Redis ------------------------------------------------------------------------------------------------------------

# The Redis for cached reports. When it is set, "make" uses that Redis instead of starting one.
REDIS_URL = _text("REDIS_URL", "redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "caching.redis.ReportCache",
        "LOCATION": REDIS_URL,
        # Services on different keyspaces may share a Redis, and during a roll-out processes of different releases do:
        # what one release has stored another one never reads.
        "KEY_PREFIX": CASSANDRA_KEYSPACE,
        "VERSION": __version__,
        "OPTIONS": {
            "SERIALIZER": "caching.replies.ReplySerializer",
            # A cache that takes longer than this is slower than the report.
            "SOCKET_CONNECT_TIMEOUT": 0.1,
            "SOCKET_TIMEOUT": 0.1,
            # redis-py would try three more times with pauses.
            "CONNECTION_POOL_KWARGS": {"retry": None, "max_connections": 100},
        },
    }
}

# --- REST -------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "web.rendering.FastJSONRenderer",
        *([] if IN_PRODUCTION else ["web.browsable.BatchBrowsableAPIRenderer"]),
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "web.rendering.QuickNegotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "web.problems.problem_response",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Player sessions",
    "DESCRIPTION": (
        "Stores the session events of games in batches of 1 to 10 and answers two questions about them: the sessions "
        "started in the last X hours for each country, and the last 20 completed sessions of a player. "
        "Errors are problem details (RFC 9457)."
    ),
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "events.api.openapi.bound_batches"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SECURITY": [{"key": []}, {"keyAsPassword": []}, *([{}] if AUTH == "none" else [])],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of `manage.py api_keys`, with `AUTH=keys`. With `AUTH=none` none is asked for.",
            },
            "keyAsPassword": {
                "type": "http",
                "scheme": "basic",
                "description": "For pages in a browser: any user, and the key as the password. Only to read.",
            },
        }
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    # Without the validator, which is on the internet.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "tryItOutEnabled": True, "validatorUrl": None},
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    # The names of these in generated clients.
    "ENUM_NAME_OVERRIDES": {
        "EventKind": ["start", "end"],
        "EventStatus": ["stored", "discarded", "invalid"],
        "Interval": ["minute", "hour", "day", "week"],
        "StartKind": ["start"],
        "ErasureState": ["not_erased", "pending", "done"],
    },
    "SERVERS": [{"url": "/", "description": "This service."}],
    "CONTACT": {"name": "The maintainers of Player sessions"},
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "TAGS": [
        {"name": "addresses", "description": "Where everything is."},
        {"name": "events", "description": "Sessions that start and end."},
        {"name": "reports", "description": "Sessions that started, and sessions of a player."},
        {"name": "players", "description": "Erasing a player, and what is stored of one."},
        {
            "name": "legacy endpoints",
            "description": "The same at the earlier addresses and in their shapes.",
        },
    ],
}

# --- Logs -------------------------------------------------------------------------------------------------------------

# "DEBUG", "INFO", "WARNING" or "ERROR". "DEBUG" logs every request.
LOG_LEVEL = _text("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    # It is too early for a system check.
    raise SystemExit(f"The setting LOG_LEVEL is {LOG_LEVEL!r}. Write DEBUG, INFO, WARNING or ERROR.")
# The share of requests that get a line in the log, from "0" (none) to "1" (all).
LOG_REQUEST_SHARE = _number("LOG_REQUEST_SHARE", 0.0)
# From how many seconds on a request always gets such a line; "0" for never. The lines have the level "INFO". They name
# the path, and the path of a player's report contains the player's id.
LOG_SLOW_SECONDS = _number("LOG_SLOW_SECONDS", 0.0)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "web.request_ids.RequestIdFilter"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s %(trace_id)s",
        },
        "readable": {
            "()": "web.log_format.ReadableFormatter",
            "format": "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s",
        },
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": "json" if IN_PRODUCTION else "readable",
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Our own messages say it better, and once: the driver logs a lost node for every pool of every worker, and
        # refusals with a traceback.
        "cassandra": {"level": "CRITICAL"},
        # 4xx replies are up to the client; web.request_ids logs 5xx with the request's id.
        "django.request": {"level": "CRITICAL"},
        "django.security": {"level": "CRITICAL"},
    },
}
