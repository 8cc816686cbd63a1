"""Replies are compressed for clients that accept gzip (RFC 9110, 12.5.3), outside of all that caches them."""

import gzip
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from web.wsgi_types import Application, Headers, answer_of, whole

ENCODING = "Accept-Encoding"
# Less fits into one packet anyway.
LEAST_BYTES = 1_000
LEVEL = 1
# A reply from memory is the same bytes again and again: 10 MB of these at most, plain and compressed.
MOST_REMEMBERED, LARGEST_REMEMBERED_BYTES = 128, 65_536
# An Accept-Encoding that names every registered coding has half of it.
LONGEST_ACCEPTED = 200
CODING = re.compile(r"\s*(gzip|\*)\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?", re.IGNORECASE)


class CompressibleMiddleware:
    """Adds ``Vary: Accept-Encoding`` to replies that are worth compressing; Compression looks for it.

    Everything that is not streamed is text here. It is outside of cache_page, which would otherwise cache a reply for
    each Accept-Encoding.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return compressible(self.get_response(request))


def compressible(response: HttpResponse) -> HttpResponse:
    """Return the reply, with that header if it is worth compressing."""
    if not response.streaming and len(response.content) >= LEAST_BYTES:
        patch_vary_headers(response, [ENCODING])
    return response


class Compression:
    """A WSGI application: the replies of ``application``, compressed where the client accepts it.

    Their ETag stays: it is weak, so it is valid for the same content in any coding.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_ACCEPT_ENCODING" not in environ or not accepts_gzip(environ["HTTP_ACCEPT_ENCODING"]):
            return self._application(environ, start_response)
        (status, headers, *error), reply = answer_of(self._application, environ)
        if _is_compressible(headers) and not getattr(reply, "streaming", False):
            body = compressed(whole(reply))
            own = [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
            headers, reply = [*(one for one in headers if one[0] != "Content-Length"), *own], [body]
        start_response(status, headers, *error)
        return reply


def accepts_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding takes gzip: by name, or by ``*``, and not with a quality of 0.

    One that is longer than any that makes sense takes nothing.
    """
    return len(accepted) <= LONGEST_ACCEPTED and _names_gzip(accepted)


@lru_cache(maxsize=256)
def _names_gzip(accepted: str) -> bool:
    found = filter(None, map(CODING.fullmatch, accepted.split(",")))
    qualities = {one[1].lower(): float(one[2] or 1) for one in found}
    return qualities.get("gzip", qualities.get("*", 0)) > 0


def compressed(body: bytes) -> bytes:
    """Return the body as gzip."""
    return _remembered(body) if len(body) <= LARGEST_REMEMBERED_BYTES else gzip.compress(body, LEVEL, mtime=0)


@lru_cache(maxsize=MOST_REMEMBERED)
def _remembered(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)


def _is_compressible(headers: Headers) -> bool:
    """Return whether a reply says that it depends on Accept-Encoding, and is plain."""
    by_name = dict(headers)
    return ENCODING in by_name.get("Vary", "") and "Content-Encoding" not in by_name
