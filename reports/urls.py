"""Addresses of the read side. Caching is decided here and nowhere else: by address and query string, for 50 s."""

from django.conf import settings
from django.urls import path
from django.views.decorators.cache import cache_page

from reports.views import EarlierReportsViewSet, PlayerSessionsViewSet, StartsViewSet

cached = cache_page(settings.REPORT_CACHE_SECONDS)

urlpatterns = [
    path("api/v1/reports/starts/", cached(StartsViewSet.as_view({"get": "list"})), name="starts"),
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
        cached(PlayerSessionsViewSet.as_view({"get": "list"})),
        name="player-sessions",
    ),
    path(
        "by-country/<str:country>/<str:hours>",
        cached(EarlierReportsViewSet.as_view({"get": "by_country"})),
        name="by-country",
    ),
    path("by-player/<str:player_id>", cached(EarlierReportsViewSet.as_view({"get": "by_player"})), name="by-player"),
]
