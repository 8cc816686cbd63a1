"""The fast_path for plainly good batches: stored without the framework.

Of the CPU time of a request that stores ten events Django and DRF take a third, mostly for decisions that follow from a
few headers. So once they have accepted a batch, the next one under the same headers is stored without them, if
FastDecoder accepts its body. All else goes their way: the fast_path refuses nothing, unless the store is away.
events/tests/test_fast_path.py holds both ways to equal replies.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django.conf import settings
from django.urls import reverse

from caching.memory import MOST_KEY_CHARACTERS, Name
from events.api.views import receipt, record
from events.clock import wall_clock_ms
from events.decoding import FastDecoder
from events.domain import Event
from store.errors import StoreUnavailable
from web.problems import STORE_UNAVAILABLE, refuse
from web.rendering import FastJSONRenderer
from web.request_ids import HEADER as REQUEST_ID
from web.request_ids import chosen_request_id, log_reply, under_id
from web.wsgi_types import Application, Headers

log = logging.getLogger(__name__)

# What a client accepts that gets compact JSON.
PLAIN_ACCEPT = {"*/*", "application/json"}
# With these a body is read in another way, or the reply has more to say.
NOT_PLAIN = {"HTTP_PREFER", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT"}
# Without one of these the framework looks elsewhere, such as at the server's name.
NEEDED = {"HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH"}
# A service has a few hosts, and its clients a few ways to write application/json. Beyond that all are learned anew.
MOST_NAMES = 100

_CREATED = f"{HTTPStatus.CREATED.value} {HTTPStatus.CREATED.phrase}"
_renderer = FastJSONRenderer()


class FastPath:
    """A WSGI application: ``application``, but for the batches that need not go there."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._address = reverse("events")
        # The headers of the framework's own 201, by what they depend on.
        self._headers: dict[Name, Headers] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != self._address or not _is_plain(environ):
            return self._application(environ, start_response)
        name = _name(environ)
        headers = self._headers.get(name)
        if headers is None:
            return self._learn(environ, start_response, name)
        began = time.perf_counter()
        body = environ["wsgi.input"].read(settings.MAX_BODY_BYTES + 1)  # the client may take its time
        now_ms = wall_clock_ms()
        events = FastDecoder(now_ms=now_ms).events(body) if _is_whole(body, environ) else None
        if events:
            environ["HTTP_X_REQUEST_ID"] = chosen_request_id(environ)
            with under_id(environ["HTTP_X_REQUEST_ID"]):
                try:
                    return _stored(events, environ, start_response, headers=headers, now_ms=now_ms, began=began)
                except Exception:  # our mistake: the framework knows how to tell it
                    log.exception("The fast_path failed; the request goes the whole way")
        environ["wsgi.input"] = BytesIO(body)
        return self._application(environ, start_response)

    def _learn(self, environ: dict[str, Any], start_response: Callable[..., Any], name: Name) -> Iterable[bytes]:
        def begin(status: str, headers: Headers, *error: Any) -> Any:
            if status == _CREATED and sum(map(len, name)) <= MOST_KEY_CHARACTERS:
                if len(self._headers) >= MOST_NAMES:
                    self._headers.clear()
                self._headers[name] = [one for one in headers if one[0] not in ("Content-Length", REQUEST_ID)]
            return start_response(status, headers, *error)

        return self._application(environ, begin)


def _is_plain(environ: Mapping[str, Any]) -> bool:
    """Whether nothing but the headers of ``_name`` decides on what becomes of the body and on the reply's form."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and not environ["QUERY_STRING"]
        and environ.get("HTTP_ACCEPT", "*/*") in PLAIN_ACCEPT
        and NEEDED.issubset(environ)
        and NOT_PLAIN.isdisjoint(environ)
    )


def _name(environ: Mapping[str, Any]) -> Name:
    """What the framework looks at before it reads a body: is the host ours, is this JSON, does it come by TLS?"""
    return (
        environ["HTTP_HOST"],
        environ["CONTENT_TYPE"],
        environ["wsgi.url_scheme"],
        environ.get("HTTP_X_FORWARDED_PROTO", ""),
    )


def _is_whole(body: bytes, environ: Mapping[str, Any]) -> bool:
    """Neither cut off nor too large."""
    return len(body) <= settings.MAX_BODY_BYTES and str(len(body)) == environ["CONTENT_LENGTH"]


def _stored(
    events: Sequence[Event],
    environ: Mapping[str, Any],
    start_response: Callable[..., Any],
    *,
    headers: Headers,
    now_ms: int,
    began: float,
) -> Iterable[bytes]:
    """Store the events, and reply as the view does."""
    try:
        told = receipt(record([*events], now_ms=now_ms))
    except StoreUnavailable:
        log_reply("POST", environ["PATH_INFO"], HTTPStatus.SERVICE_UNAVAILABLE, began=began)
        code, detail = STORE_UNAVAILABLE
        kept = [one for one in headers if one[0] != "Content-Type"]
        return refuse(environ, start_response, code=code, detail=detail, headers=kept)
    log_reply("POST", environ["PATH_INFO"], HTTPStatus.CREATED, began=began)
    body = _renderer.render(told)
    own = [("Content-Length", str(len(body))), (REQUEST_ID, environ["HTTP_X_REQUEST_ID"])]
    start_response(_CREATED, [*headers, *own])
    return [body]
