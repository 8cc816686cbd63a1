"""Addresses of the write side."""

from django.urls import path

from events.api.players import PlayerExportViewSet, PlayerViewSet
from events.api.views import EventHandlerViewSet, EventViewSet

urlpatterns = [
    path("api/v1/events/", EventViewSet.as_view({"post": "create"}, name="Send events"), name="events"),
    path(
        "api/v1/players/<str:player_id>/",
        PlayerViewSet.as_view({"delete": "destroy", "get": "retrieve"}, name="Erase a player"),
        name="player",
    ),
    path(
        "api/v1/players/<str:player_id>/export/",
        PlayerExportViewSet.as_view({"get": "retrieve"}, name="Export a player"),
        name="player-export",
    ),
    path(
        "event-handler",
        EventHandlerViewSet.as_view({"post": "create"}, name="Send an event (legacy)"),
        name="event-handler",
    ),
]
