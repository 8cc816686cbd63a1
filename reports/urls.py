"""Addresses of the read side. Caching is decided here and nowhere else: by address, query and Accept, for 50 s."""

from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.cache import cache_page

from reports.spreadsheets import asks_for_csv
from reports.views import EarlierReportsViewSet, PlayerSessionsViewSet, StartsViewSet
from sessions_project.building import View, built_once
from sessions_project.fresh_replies import MAY_BE_KEPT


def cached(view: View, *, costs_more_than_a_lock: bool = True) -> View:
    """Keep the replies, and build one that is popular once; a cheap one once in each process."""
    page = cache_page(settings.REPORT_CACHE_SECONDS)
    alone = page(view)
    shared = built_once(view, cache_page=page, costs_more_than_a_lock=costs_more_than_a_lock)

    @wraps(view)
    def choose(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # A file cannot be shared; whoever waited for another's would hold a thread for nothing.
        if asks_for_csv(request):
            return alone(request, *args, **kwargs)
        request.META[MAY_BE_KEPT] = True
        return shared(request, *args, **kwargs)

    return choose


urlpatterns = [
    path("api/v1/reports/starts/", cached(StartsViewSet.as_view({"get": "by_country"})), name="starts"),
    path(
        "api/v1/reports/starts/timeline/",
        cached(StartsViewSet.as_view({"get": "timeline"})),
        name="starts-timeline",
    ),
    path(
        "api/v1/reports/starts/<str:country>/",
        cached(StartsViewSet.as_view({"get": "retrieve"})),
        name="starts-of-country",
    ),
    path(
        "api/v1/reports/players/<str:player_id>/sessions/",
        cached(PlayerSessionsViewSet.as_view({"get": "sessions"}), costs_more_than_a_lock=False),
        name="player-sessions",
    ),
    path(
        "by-country/<str:country>/<str:hours>",
        cached(EarlierReportsViewSet.as_view({"get": "by_country"})),
        name="by-country",
    ),
    path(
        "by-player/<str:player_id>",
        cached(EarlierReportsViewSet.as_view({"get": "by_player"}), costs_more_than_a_lock=False),
        name="by-player",
    ),
]
