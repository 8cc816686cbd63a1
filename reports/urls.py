"""Addresses of the read side. Caching is decided here and nowhere else: by address, query and Accept, at most 50 s."""

from collections.abc import Collection
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.cache import cache_page

from caching.memory import MAY_BE_CACHED
from caching.single_flight import View, single_flight
from reports.serializers import (
    CountryStartsQuerySerializer,
    PlayerQuerySerializer,
    StartsQuerySerializer,
    TimelineQuerySerializer,
    parameters_of,
)
from reports.spreadsheets import asks_for_csv
from reports.views import LegacyReportsViewSet, PlayerSessionsViewSet, StartsViewSet
from web.links import FORMAT
from web.query import is_well_named


def cached(view: View, *, parameters: Collection[str] = (), costs_more_than_a_lock: bool = True) -> View:
    """Keep the replies, and build one that is popular once; a cheap one once in each process.

    What the view refuses because its query has other ``parameters`` reaches no cache.
    """
    # For CACHE_MIDDLEWARE_SECONDS, or as long as the reply says itself.
    page = cache_page(None)
    alone = page(view)
    shared = single_flight(view, cache_page=page, costs_more_than_a_lock=costs_more_than_a_lock)

    @wraps(view)
    def choose(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_well_named(request.GET, known=parameters):
            return view(request, *args, **kwargs)
        # A file cannot be shared; whoever waited for another's would hold a thread for nothing.
        if asks_for_csv(request):
            return alone(request, *args, **kwargs)
        request.META[MAY_BE_CACHED] = True
        return shared(request, *args, **kwargs)

    return choose


def without_parameters(view: View) -> View:
    """Ignore a query but for ``format``, as the legacy endpoints do: none makes another question of theirs."""

    @wraps(view)
    def ask(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_well_named(request.GET):
            return view(request, *args, **kwargs)
        form = request.GET.get(FORMAT)
        request.META["QUERY_STRING"] = urlencode({FORMAT: form}) if form is not None else ""
        del request.GET  # made of it when asked for
        response = view(request, *args, **kwargs)
        request.META.pop(MAY_BE_CACHED, None)  # by the address as it came
        return response

    return ask


urlpatterns = [
    path(
        "api/v1/reports/starts/",
        cached(StartsViewSet.as_view({"get": "by_country"}), parameters=parameters_of(StartsQuerySerializer)),
        name="starts",
    ),
    path(
        "api/v1/reports/starts/timeline/",
        cached(StartsViewSet.as_view({"get": "timeline"}), parameters=parameters_of(TimelineQuerySerializer)),
        name="starts-timeline",
    ),
    path(
        "api/v1/reports/starts/<str:country>/",
        cached(StartsViewSet.as_view({"get": "retrieve"}), parameters=parameters_of(CountryStartsQuerySerializer)),
        name="starts-of-country",
    ),
    path(
        "api/v1/reports/players/<str:player_id>/sessions/",
        cached(
            PlayerSessionsViewSet.as_view({"get": "sessions"}),
            parameters=parameters_of(PlayerQuerySerializer),
            costs_more_than_a_lock=False,
        ),
        name="player-sessions",
    ),
    path(
        "by-country/<str:country>/<str:hours>",
        without_parameters(cached(LegacyReportsViewSet.as_view({"get": "by_country"}))),
        name="by-country",
    ),
    path(
        "by-player/<str:player_id>",
        without_parameters(cached(LegacyReportsViewSet.as_view({"get": "by_player"}), costs_more_than_a_lock=False)),
        name="by-player",
    ),
]
