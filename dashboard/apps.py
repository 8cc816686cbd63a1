"""The page at ``/``: asks the API from the browser and shows what it answers."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """The page."""

    name = "dashboard"
