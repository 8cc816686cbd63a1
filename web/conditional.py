"""What a client already has is not sent again: 304 to ``If-None-Match`` (RFC 9110, 13.1.2)."""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from django.utils.http import parse_etags

from web.wsgi_types import Application, answer_of, close


class Conditional:
    """A WSGI application: the replies of ``application``, or 304 when the client names the reply's ETag."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_IF_NONE_MATCH" not in environ or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._application(environ, start_response)
        (status, headers, *error), reply = answer_of(self._application, environ)
        if status.startswith("200") and _names(environ["HTTP_IF_NONE_MATCH"], dict(headers).get("ETag")):
            close(reply)
            # Headers that describe the body are left out with it.
            status, headers = "304 Not Modified", [one for one in headers if not one[0].startswith("Content-")]
            reply = []
        start_response(status, headers, *error)
        return reply


def weak_etag(body: bytes) -> str:
    """Return a validator of a body, valid for all its codings."""
    return f'W/"{blake2b(body, digest_size=12).hexdigest()}"'


def _names(known: str, etag: str | None) -> bool:
    """Return whether an If-None-Match names the ETag, in the weak comparison."""
    if etag is None or known == etag:
        return etag is not None
    return any(one == "*" or one.removeprefix("W/") == etag.removeprefix("W/") for one in parse_etags(known))
