"""The project as an app: registers the checks of its settings, and takes Django's database signals off requests."""

from django.apps import AppConfig
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries


class SessionsProjectConfig(AppConfig):
    """The project itself."""

    name = "sessions_project"

    def ready(self) -> None:
        from sessions_project import checks  # noqa: F401  # importing registers them

        # Django looks after database connections with every request; there is none here, and it takes 35 µs.
        request_started.disconnect(reset_queries)
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
