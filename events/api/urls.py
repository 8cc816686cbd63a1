"""Addresses of the write side."""

from django.urls import path

from events.api.views import EventHandlerViewSet, EventViewSet

urlpatterns = [
    path("api/v1/events/", EventViewSet.as_view({"post": "create"}), name="events"),
    path("event-handler", EventHandlerViewSet.as_view({"post": "create"}), name="event-handler"),
]
