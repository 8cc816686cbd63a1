"""The fast path: what is asked in the ordinary form is answered without the framework.

Of the CPU time of a request Django and DRF take a third and more, mostly for decisions that follow from a few headers
and the settings. Here these decisions are made without them. What is not of ordinary form goes to the full stack, which
also makes all refusals but those of the store. Nothing depends on earlier requests. Tests beside each answer hold both
ways to equal replies.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from store.errors import StoreUnavailable
from web.problems import RETRY_AFTER, STORE_UNAVAILABLE, log_unforeseen, refuse, server_error
from web.request_head import RequestHead
from web.request_ids import HEADER as REQUEST_ID
from web.request_ids import chosen_request_id, log_reply, under_id
from web.security_headers import security_headers
from web.wsgi_types import Application, Headers

# What a client accepts that gets compact JSON.
PLAIN_ACCEPT = {"*/*", "application/json"}
# A client may name as many hosts as it likes, and as long; no name is longer than this, with its port.
MOST_HOSTS_REMEMBERED, LONGEST_HOST = 128, 260


class Reply(NamedTuple):
    """What is answered, without the headers that every reply has."""

    status: HTTPStatus
    headers: Headers
    body: bytes


class Ordinary(NamedTuple):
    """A kind of request that may be answered without the framework.

    ``takes`` decides by the head of a request, ``answer`` may still leave it to the full stack, by None, before it has
    done anything. The latter raises StoreError. ``allow`` is what the address allows.
    """

    takes: Callable[[Mapping[str, Any]], bool]
    answer: Callable[[dict[str, Any]], Reply | None]
    allow: str


class FastPath:
    """A WSGI application: ``application``, but for the requests of some kinds."""

    def __init__(self, application: Application, *, kinds: Sequence[Ordinary]) -> None:
        self._application = application
        self._kinds = kinds
        # Of this instance: what is allowed follows from the settings of its process.
        self._answers_for = lru_cache(MOST_HOSTS_REMEMBERED)(_answers_for)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        kind = next((one for one in self._kinds if one.takes(environ)), None)
        host = environ.get("HTTP_HOST", environ["SERVER_NAME"])
        if kind is None or len(host) > LONGEST_HOST or not self._answers_for(host):
            return self._application(environ, start_response)
        method, path, began = environ["REQUEST_METHOD"], environ["PATH_INFO"], time.perf_counter()
        environ["HTTP_X_REQUEST_ID"] = chosen_request_id(environ)
        with under_id(environ["HTTP_X_REQUEST_ID"], environ):
            try:
                reply = kind.answer(environ)
            except StoreUnavailable:
                log_reply(method, path, HTTPStatus.SERVICE_UNAVAILABLE, began=began)
                return _unavailable(environ, start_response, allow=kind.allow)
            except Exception as error:  # as Django does around its views
                log_unforeseen(error)
                log_reply(method, path, HTTPStatus.INTERNAL_SERVER_ERROR, began=began)
                return _send(environ, start_response, _internal_error())
            if reply is not None:
                log_reply(method, path, reply.status, began=began)
                return _send(environ, start_response, reply)
        return self._application(environ, start_response)


def _answers_for(host: str) -> bool:
    """Return whether the service answers for the host of a request."""
    try:
        RequestHead({"HTTP_HOST": host}).get_host()
    except DisallowedHost:
        return False
    return True


def _unavailable(environ: dict[str, Any], start_response: Callable[..., Any], *, allow: str) -> Iterable[bytes]:
    code, detail = STORE_UNAVAILABLE
    headers = [("Allow", allow), ("Vary", "Accept"), RETRY_AFTER]
    return refuse(environ, start_response, code=code, detail=detail, headers=headers)


def _internal_error() -> Reply:
    """Return what Django makes of an error, without the view."""
    error = server_error(HttpRequest())
    return Reply(HTTPStatus.INTERNAL_SERVER_ERROR, [*error.items()], error.content)


def _send(environ: dict[str, Any], start_response: Callable[..., Any], reply: Reply) -> Iterable[bytes]:
    status, headers, body = reply
    own = [("Content-Length", str(len(body))), (REQUEST_ID, environ["HTTP_X_REQUEST_ID"])]
    start_response(f"{status.value} {status.phrase}", [*headers, *security_headers(environ), *own])
    return [body]
