"""How long each request takes, by its route, method and status.

The memory tier counts its own replies, under a key that it has ready: they take some microseconds, and a stage around
it would add a fifth. This stage comes after it and measures all other replies.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from time import perf_counter
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from metrics.catalogue import REQUEST_DURATION
from metrics.cells import Key
from web.wsgi_types import Application

# Who answered: values of a label.
MEMORY, SERVICE = "memory", "service"
METHODS = {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}
OTHER = "other"
# Paths whose route is known: 3 MB at most. A client may choose as many as it likes, and as long.
MOST_REMEMBERED, MOST_CHARACTERS = 10_000, 200


class Measuring:
    """A WSGI application: ``application``, measured until the head of its reply, which it gives before it returns."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = perf_counter()
        status = "500"  # of an application that fails

        def start(line: str, *rest: Any) -> Any:
            nonlocal status
            status = line
            return start_response(line, *rest)

        try:
            return self._application(environ, start)
        finally:
            key = request_key(environ["REQUEST_METHOD"], environ["PATH_INFO"], status, answered_by=SERVICE)
            REQUEST_DURATION.put(key, perf_counter() - began)


def request_key(method: str, path: str, status: str, *, answered_by: str) -> Key:
    """Return under what a request is counted; ``status`` is that of WSGI, such as ``200 OK``."""
    known_method = method if method in METHODS else OTHER
    return REQUEST_DURATION.name, routes()[path], known_method, status[:3], answered_by


@cache
def routes() -> "Routes":
    """Return the routes of the service."""
    return Routes(static=f"/{settings.STATIC_URL.lstrip('/')}")


class Routes(dict[str, str]):
    """The route of each path, such as ``/by-country/{country}/{hours}``; OTHER for those that lead nowhere."""

    def __init__(self, *, static: str) -> None:
        super().__init__()
        self._static = static
        self._patterns = [*_patterns(get_resolver(), "", "")]

    def __missing__(self, path: str) -> str:
        route = self._route_of(path)
        if len(path) <= MOST_CHARACTERS:
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[path] = route
        return route

    def _route_of(self, path: str) -> str:
        if path.startswith(self._static):
            return self._static
        return next((route for pattern, route in self._patterns if pattern.fullmatch(path)), OTHER)


def _patterns(resolver: URLResolver, regex: str, route: str) -> Iterable[tuple[re.Pattern[str], str]]:
    """Yield an expression for the paths of each route, and the route with names in braces."""
    for one in resolver.url_patterns:
        inner = regex + one.pattern.regex.pattern.removeprefix("^").removesuffix(r"\Z").removesuffix("$")
        name = route + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(one.pattern))
        if isinstance(one, URLPattern):
            yield re.compile(f"/{inner}"), f"/{name}"
        else:
            yield from _patterns(one, inner, name)
