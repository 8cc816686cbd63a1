"""Django's own rules for hosts and schemes, for a request that is answered without Django."""

from typing import Any

from django.http import HttpRequest


class RequestHead(HttpRequest):
    """A request that only has its environment, which takes a third of the time to make."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.META = environ

    def _get_scheme(self) -> str:
        return str(self.META["wsgi.url_scheme"])
