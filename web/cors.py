"""Scripts of other pages may read what is below a path (the Fetch standard's CORS protocol). None of them may write."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from web.wsgi_types import Application, Headers

READS = "GET, HEAD, OPTIONS"
# A browser repeats its preflight after this long; browsers accept at most two hours.
PREFLIGHT_HOLDS_SECONDS = "7200"
PREFLIGHT: Headers = [
    ("Access-Control-Allow-Methods", READS),
    ("Access-Control-Allow-Headers", "Authorization, If-None-Match, X-Request-ID"),
    ("Access-Control-Max-Age", PREFLIGHT_HOLDS_SECONDS),
    ("Content-Length", "0"),
]
# A script sees only these headers.
EXPOSED = ("Access-Control-Expose-Headers", "Age, ETag, Link, Retry-After, X-Request-ID")
VARY = ("Vary", "Origin")


class Cors:
    """A WSGI application: ``application``, whose replies below ``path`` the pages of ``origins`` may read."""

    def __init__(self, application: Application, *, origins: Collection[str], path: str) -> None:
        self._application = application
        self._origins, self._path = frozenset(origins), path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(self._path):
            return self._application(environ, start_response)
        origin = environ.get("HTTP_ORIGIN")
        allowed = [("Access-Control-Allow-Origin", origin), EXPOSED] if origin in self._origins else []
        if allowed and environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            start_response("204 No Content", [*allowed, *PREFLIGHT, VARY])
            return []

        def start_with_origin(status: str, headers: Headers, *error: Any) -> Any:
            return start_response(status, [*headers, *allowed, VARY], *error)

        return self._application(environ, start_with_origin)
