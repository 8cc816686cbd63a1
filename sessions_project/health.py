"""Is this process alive, and can it serve?"""

import random
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple, cast

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from access.models import ApiKey
from caching.redis import ReportCache
from events.domain import DAY_MS
from events.models import SCHEMA_VERSION, TABLES, VERSION_TABLE, schema_version_of
from store import cassandra
from store.errors import StatementRejected, StoreTimeout, StoreUnavailable
from web.problems import RETRY_AFTER_SECONDS


class HealthMiddleware:
    """Answers PROBES before anything looks at the Host: load balancers ask by the address of a machine."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return PROBES.get(request.path, self.get_response)(request)


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when reports can be read and the tables are as this version needs them, else 503.

    A store that answers too late is a reason for 503 only after PATIENCE_SECONDS of it: every replica has the same
    store, and to take all of them out because it is slow would help nobody. The body says what is missing. Redis is
    named in it, and not required.
    """
    store = store_state()
    checks = {
        "cassandra": store.trouble or f"ok{store.note}",
        "redis": "ok" if cast(ReportCache, caches["default"]).answers() else "unavailable: reports are not cached",
    }
    if _patience.is_over(store.trouble):
        return JsonResponse(
            {"status": "not ready", "checks": checks},
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    return JsonResponse({"status": "ready", "checks": checks})


PROBES = {"/livez": livez, "/readyz": readyz}

# As long as two or three looks of a load balancer.
PATIENCE_SECONDS = 10.0
TOO_LATE = "Cassandra does not answer in time"


class Patience:
    """How long a store may answer too late, and nothing in time."""

    def __init__(self) -> None:
        self._late_since: float | None = None

    def is_over(self, trouble: str | None) -> bool:
        """Take what was found now, and return whether it is a reason not to serve."""
        if trouble != TOO_LATE:
            self._late_since = None
            return trouble is not None
        now = time.monotonic()
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since >= PATIENCE_SECONDS


_patience = Patience()

# As a report reads: from a quorum, and columns of the latest version. Of days that have none, because they were before
# there was any game: other ones each time, so that it is seen when a part of the ring cannot be read.
SELECT_A_DAY = "SELECT minutes, day_hours FROM {keyspace}.start_count WHERE day = ? LIMIT 1"
DAYS_LOOKED_AT, DAYS_BEFORE = 16, range(3_650)


SYNC = "run 'manage.py sync_cassandra'"
TABLES_NEEDED = [*(model.__table_name__ for model in TABLES), ApiKey.__table_name__]


class StoreState(NamedTuple):
    """``trouble`` keeps reports from being read, and says what to do about it; ``note`` does not, and is said as well.

    ``note`` continues a line.
    """

    trouble: str | None
    note: str = ""


def store_state() -> StoreState:
    """Return how the store is, as a report would find it."""
    try:
        tables = cassandra.table_comments()
        state = _tables_state(tables)
        if not state.trouble:
            _read_as_a_report()
    except StatementRejected as error:
        reason = str(error).rstrip(".")
        return StoreState(f"the tables cannot be read as this version does ({reason}); {SYNC}")
    except StoreTimeout:
        return StoreState(TOO_LATE)
    except StoreUnavailable:
        return StoreState("Cassandra does not answer")
    return state


def _tables_state(comments: Mapping[str, str]) -> StoreState:
    """Return what the names of the tables and their comments tell."""
    if missing := [name for name in TABLES_NEEDED if name not in comments]:
        return StoreState(f"missing tables: {', '.join(missing)}; {SYNC}")
    version = schema_version_of(comments[VERSION_TABLE.__table_name__])
    if version < SCHEMA_VERSION:
        return StoreState(f"the tables have schema version {version}, and this release needs {SCHEMA_VERSION}; {SYNC}")
    if version > SCHEMA_VERSION:
        later = f"the tables are of a later release: schema version {version}, and this one knows {SCHEMA_VERSION}"
        return StoreState(None, f"; {later}")
    return StoreState(None)


def _read_as_a_report() -> None:
    days = random.sample(DAYS_BEFORE, DAYS_LOOKED_AT)
    deadline = time.monotonic() + settings.CASSANDRA_TIMEOUT_SECONDS
    cassandra.execute_many([(SELECT_A_DAY, (day * DAY_MS,)) for day in days], deadline=deadline)
