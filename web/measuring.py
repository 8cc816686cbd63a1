"""How long each request takes, by its route, method and status; whatever answers it."""

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from time import perf_counter
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from metrics.catalogue import REQUEST_DURATION
from web.wsgi_types import Application

METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
OTHER = "other"
_NAME = REQUEST_DURATION.name
# Paths whose route is known: 3 MB at most. A client may choose as many as it likes, and as long.
MOST_REMEMBERED, MOST_CHARACTERS = 10_000, 200


class Measuring:
    """A WSGI application: ``application``, measured until the head of its reply, which it gives before it returns."""

    def __init__(self, application: Application, *, static: str) -> None:
        self._application = application
        self._route_of = Routes(static=static)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        began = perf_counter()
        # The server's own knows the status that it was given: to wrap it would cost as much as all the rest.
        start = start_response if hasattr(start_response, "status") else _Remembering(start_response)
        try:
            reply = self._application(environ, start)
            status = start.status
        except BaseException:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            method = environ["REQUEST_METHOD"]
            key = (_NAME, self._route_of[environ["PATH_INFO"]], method if method in METHODS else OTHER, status)
            REQUEST_DURATION.put(key, perf_counter() - began)
        return reply


class _Remembering:
    """A server's ``start_response`` that knows the status that it was given, as Granian's does."""

    __slots__ = ("_start_response", "status")

    def __init__(self, start_response: Callable[..., Any]) -> None:
        self._start_response = start_response

    def __call__(self, status: str, *rest: Any) -> Any:
        self.status = int(status[:3])
        return self._start_response(status, *rest)


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
