"""Addresses of the read side. Caching is decided here and nowhere else: by question, at most 50 s."""

from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.cache import cache_page

from caching.memory import QUESTION
from caching.single_flight import View, single_flight
from reports.questions import Question
from reports.serializers import (
    CountryStartsQuerySerializer,
    MeasuresQuerySerializer,
    PlayerQuerySerializer,
    Shape,
    StartsQuerySerializer,
    TimelineQuerySerializer,
)
from reports.spreadsheets import CsvRenderer
from reports.views import (
    LegacyReportsViewSet,
    MeasuresViewSet,
    PlayerSessionsViewSet,
    StartsViewSet,
    last_sessions_of_player,
)

# For CACHE_MIDDLEWARE_SECONDS, or as long as the reply says itself.
page = cache_page(None)


def cached(view: View, *, parameters: type[Shape] | None = None, costs_more_than_a_lock: bool = True) -> View:
    """Cache the replies by their question, and build one that is popular once; a cheap one once in each process.

    What the view refuses reaches no cache. Without ``parameters`` it ignores them, as legacy endpoints do.
    """
    question = Question(view, parameters=parameters)
    alone = page(view)
    together = shared(view, costs_more_than_a_lock=costs_more_than_a_lock)

    @wraps(view)
    def choose(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.META.pop("HTTP_AUTHORIZATION", None)  # no report depends on it; cache_page would store one for each
        form = question.respell(request, kwargs)
        if form is None:
            return view(request, *args, **kwargs)
        # A file cannot be shared; whoever waited for another's would hold a thread for nothing.
        if form == CsvRenderer.format:
            return alone(request, *args, **kwargs)
        return together(request, *args, **kwargs)

    return choose


def shared(view: View, *, costs_more_than_a_lock: bool) -> View:
    """Cache the replies to requests that are spelled as all are that ask the same, and build each once."""
    flight = single_flight(view, cache_page=page, costs_more_than_a_lock=costs_more_than_a_lock)

    def ask(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.META[QUESTION] = f"{request.method} {request.build_absolute_uri()} {request.META['HTTP_ACCEPT']}"
        return flight(request, *args, **kwargs)

    return ask


# Of the fast path, under the keys of the view below.
last_sessions = shared(last_sessions_of_player, costs_more_than_a_lock=False)

urlpatterns = [
    path(
        "api/v1/reports/starts/",
        cached(
            StartsViewSet.as_view({"get": "by_country"}, name="Starts of all countries"),
            parameters=StartsQuerySerializer,
        ),
        name="starts",
    ),
    path(
        "api/v1/reports/starts/timeline/",
        cached(StartsViewSet.as_view({"get": "timeline"}, name="Starts over time"), parameters=TimelineQuerySerializer),
        name="starts-timeline",
    ),
    path(
        "api/v1/reports/starts/<str:country>/",
        cached(
            StartsViewSet.as_view({"get": "retrieve"}, name="Starts of a country"),
            parameters=CountryStartsQuerySerializer,
        ),
        name="starts-of-country",
    ),
    path(
        "api/v1/reports/measures/",
        cached(MeasuresViewSet.as_view({"get": "measures"}, name="Measures"), parameters=MeasuresQuerySerializer),
        name="measures",
    ),
    path(
        "api/v1/reports/players/<str:player_id>/sessions/",
        cached(
            PlayerSessionsViewSet.as_view({"get": "sessions"}, name="Sessions of a player"),
            parameters=PlayerQuerySerializer,
            costs_more_than_a_lock=False,
        ),
        name="player-sessions",
    ),
    path(
        "by-country/<str:country>/<str:hours>",
        cached(LegacyReportsViewSet.as_view({"get": "by_country"}, name="Starts of a country (legacy)")),
        name="by-country",
    ),
    path(
        "by-player/<str:player_id>",
        cached(
            LegacyReportsViewSet.as_view({"get": "by_player"}, name="Sessions of a player (legacy)"),
            costs_more_than_a_lock=False,
        ),
        name="by-player",
    ),
]
