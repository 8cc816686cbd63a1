"""The read side: reports."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """The read side."""

    name = "reports"
