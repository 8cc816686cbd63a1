"""Django's own rules of hosts and schemes, for a request that is answered without Django."""

from typing import Any

from django.http import HttpRequest


class RequestHead(HttpRequest):
    """A request of which nothing is read but its environment: it takes a third of the time."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.META = environ

    def _get_scheme(self) -> str:
        return str(self.META["wsgi.url_scheme"])
