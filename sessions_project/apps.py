"""The project as an app: registers the checks of its settings."""

from django.apps import AppConfig


class SessionsProjectConfig(AppConfig):
    name = "sessions_project"

    def ready(self) -> None:
        from sessions_project import checks  # noqa: F401  # importing registers them
