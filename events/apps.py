"""The write side: tables, rules, ingest, import."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """The write side."""

    name = "events"
