"""Is this process alive, and can it serve?"""

from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from caching.redis import ReportCache
from events.models import TABLES
from store import cassandra
from store.errors import StatementRejected, StoreUnavailable
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
    """200 when a quorum of Cassandra answers and the tables are as this version needs them, else 503.

    The body says what is missing. Redis is named in it, and not required.
    """
    trouble = _store_trouble()
    checks = {
        "cassandra": trouble or "ok",
        "redis": "ok" if cast(ReportCache, caches["default"]).answers() else "unavailable: reports are not cached",
    }
    if trouble:
        return JsonResponse(
            {"status": "not ready", "checks": checks},
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    return JsonResponse({"status": "ready", "checks": checks})


PROBES = {"/livez": livez, "/readyz": readyz}


# As a report reads: from a quorum, and columns of the latest version. Of a day that has none.
SELECT_A_DAY = "SELECT minutes, day_hours FROM {keyspace}.start_count WHERE day = ? LIMIT 1"


def _store_trouble() -> str | None:
    try:
        missing = cassandra.missing_tables(model.__table_name__ for model in TABLES)
        if not missing:
            cassandra.execute(SELECT_A_DAY, (0,))
    except StatementRejected as error:
        reason = str(error).rstrip(".")
        return f"the tables cannot be read as this version does ({reason}); run 'manage.py sync_cassandra'"
    except StoreUnavailable:
        return "Cassandra does not answer"
    return f"missing tables: {', '.join(missing)}; run 'manage.py sync_cassandra'" if missing else None
