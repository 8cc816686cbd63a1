"""The fast path of well-formed batches: they are stored without the framework.

Of the CPU time of a request that stores ten events Django and DRF take a third, mostly for decisions that follow from a
few headers and the settings. Here these decisions are made without them, for requests of ordinary form whose body
FastDecoder accepts. Every other request goes to the full stack, which also makes all refusals but those of the store.
Nothing depends on earlier requests. events/tests/test_fast_path.py holds both ways to equal replies.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest
from django.urls import reverse
from rest_framework.utils.mediatypes import media_type_matches

from access.limits import EVENTS_BROUGHT
from events.api.parsers import EventsParser
from events.api.views import API, receipt, record
from events.clock import wall_clock_ms
from events.decoding import FastDecoder
from events.domain import END, Event
from store.errors import StoreUnavailable
from web.problems import RETRY_AFTER, STORE_UNAVAILABLE, log_unforeseen, refuse, server_error
from web.rendering import FastJSONRenderer
from web.request_head import RequestHead
from web.request_ids import HEADER as REQUEST_ID
from web.request_ids import chosen_request_id, log_reply, under_id
from web.wsgi_types import Headers

# What a client accepts that gets compact JSON.
PLAIN_ACCEPT = {"*/*", "application/json"}
# With these a body is read in another way, or the reply has more to say.
NOT_PLAIN = {"HTTP_PREFER", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT"}
# What DRF's view adds to its replies. A 500 is made by Django, without the view.
HEADERS_OF_THE_VIEW = {"Content-Type", "Allow", "Vary"}
# Older than every retention that the settings may have: a batch of it is answered with 201, and nothing is stored.
EXPIRED_BATCH = json.dumps({"event": END, "player_id": "nobody", "ts": "1970-01-02T00:00:00Z"}).encode()

_renderer = FastJSONRenderer()


class FastPath:
    """A WSGI application: ``application``, but for the batches that need not go there."""

    def __init__(self, application: WSGIHandler) -> None:
        self._application = application
        self._path = reverse("events")
        # What Django adds to a reply may depend on the scheme, as Strict-Transport-Security does.
        self._created_headers = {
            scheme: _created_headers(application, path=self._path, scheme=scheme) for scheme in ("http", "https")
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != self._path or (scheme := _scheme_of_well_formed(environ)) is None:
            return self._application(environ, start_response)
        headers = self._created_headers[scheme]
        began = time.perf_counter()
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))  # the client may take its time
        environ["wsgi.input"] = BytesIO(body)
        environ["HTTP_X_REQUEST_ID"] = chosen_request_id(environ)
        with under_id(environ["HTTP_X_REQUEST_ID"]):
            try:
                stored = _stored(body, environ)
            except StoreUnavailable:
                log_reply("POST", self._path, HTTPStatus.SERVICE_UNAVAILABLE, began=began)
                return _unavailable(environ, start_response, headers=headers)
            except Exception as error:  # as Django does around its views
                log_unforeseen(error)
                log_reply("POST", self._path, HTTPStatus.INTERNAL_SERVER_ERROR, began=began)
                return _internal_error(environ, start_response, headers=headers)
            if stored is not None:
                log_reply("POST", self._path, HTTPStatus.CREATED, began=began)
                return _reply(environ, start_response, status=HTTPStatus.CREATED, headers=headers, body=stored)
        return self._application(environ, start_response)


class _RequestOfAnyHost(WSGIRequest):
    """Asks for headers, which depend on no host."""

    def get_host(self) -> str:
        return "localhost"


def _created_headers(application: WSGIHandler, *, path: str, scheme: str) -> Headers:
    """Ask the framework, with EXPIRED_BATCH, for the headers of its own 201, but for those of a single reply."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": EventsParser.media_type,
        "CONTENT_LENGTH": str(len(EXPIRED_BATCH)),
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(EXPIRED_BATCH),
    }
    setup_testing_defaults(environ)
    response = application.get_response(_RequestOfAnyHost(environ))
    if response.status_code != HTTPStatus.CREATED:
        raise RuntimeError(f"The full stack answers {response.status_code} to an ordinary batch over {scheme}.")
    return [one for one in response.items() if one[0] not in ("Content-Length", REQUEST_ID)]


def _scheme_of_well_formed(environ: dict[str, Any]) -> str | None:
    """Return ``http`` or ``https`` if the full stack gives 201 to a request with a well-formed body, else None."""
    if not (
        environ["REQUEST_METHOD"] == "POST"
        and not environ["QUERY_STRING"]
        and environ.get("HTTP_ACCEPT", "*/*") in PLAIN_ACCEPT
        and NOT_PLAIN.isdisjoint(environ)
        and _is_of_known_length(environ.get("CONTENT_LENGTH", ""))
        and _is_json(environ.get("CONTENT_TYPE", ""))
    ):
        return None
    head = RequestHead(environ)
    try:
        head.get_host()
    except DisallowedHost:
        return None
    return head.scheme


def _is_of_known_length(length: str) -> bool:
    """Return whether a body says its length, and may have it: a larger one is refused before it is read."""
    return length.isdecimal() and int(length) <= settings.MAX_BODY_BYTES


def _is_json(content_type: str) -> bool:
    """Return whether DRF chooses EventsParser."""
    return content_type == EventsParser.media_type or media_type_matches(EventsParser.media_type, content_type)


def _stored(body: bytes, environ: dict[str, Any]) -> bytes | None:
    """Store the events of the body and return the reply's; None, and nothing is stored, when it is not well-formed.

    Raises StoreError.
    """
    now_ms = wall_clock_ms()
    events = FastDecoder(now_ms=now_ms).events(body) if _is_whole(body, environ) else None
    if not events:
        return None
    environ[EVENTS_BROUGHT] = len(events)
    return _receipt(events, now_ms=now_ms)


def _is_whole(body: bytes, environ: Mapping[str, Any]) -> bool:
    """Return whether a body was not cut off."""
    return len(body) == int(environ["CONTENT_LENGTH"])


def _receipt(events: Sequence[Event], *, now_ms: int) -> bytes:
    return _renderer.render(receipt(record([*events], now_ms=now_ms, entry_point=API)))


def _unavailable(environ: dict[str, Any], start_response: Callable[..., Any], *, headers: Headers) -> Iterable[bytes]:
    code, detail = STORE_UNAVAILABLE
    rest = [one for one in headers if one[0] not in ("Content-Type", "Vary")]
    return refuse(environ, start_response, code=code, detail=detail, headers=[*rest, ("Vary", "Accept"), RETRY_AFTER])


def _internal_error(
    environ: Mapping[str, Any], start_response: Callable[..., Any], *, headers: Headers
) -> Iterable[bytes]:
    rest = [one for one in headers if one[0] not in HEADERS_OF_THE_VIEW]
    error = server_error(HttpRequest())
    return _reply(
        environ,
        start_response,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        headers=[*error.items(), *rest],
        body=error.content,
    )


def _reply(
    environ: Mapping[str, Any],
    start_response: Callable[..., Any],
    *,
    status: HTTPStatus,
    headers: Headers,
    body: bytes,
) -> Iterable[bytes]:
    own = [("Content-Length", str(len(body))), (REQUEST_ID, environ["HTTP_X_REQUEST_ID"])]
    start_response(f"{status.value} {status.phrase}", [*headers, *own])
    return [body]
