"""Every error but that of /readyz is a problem detail (RFC 9457): type, title, status, detail, errors with pointers.

To a browser it is a page that says the same and leads on; its template is the project's, which knows all addresses.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, DisallowedRedirect, SuspiciousOperation, TooManyFieldsSent
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
    JsonResponse,
)
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from rest_framework import exceptions
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from metrics.catalogue import PROBLEMS
from store.errors import StoreUnavailable
from web.links import FORMAT
from web.request_ids import HEADER as REQUEST_ID
from web.request_ids import chosen_request_id, request_id
from web.security_headers import security_headers

log = logging.getLogger(__name__)

MEDIA_TYPE, PAGE_TYPE = "application/problem+json", "text/html"
# Of those that a client likes as well it gets the first: a browser alone names HTML before all else.
FORMS = [MEDIA_TYPE, JSONRenderer.media_type, PAGE_TYPE]
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
# Tried again sooner, a store that comes back would meet every client at once.
RETRY_AFTER_SECONDS = 1
RETRY_AFTER = ("Retry-After", str(RETRY_AFTER_SECONDS))
# Code and detail of a problem.
STORE_UNAVAILABLE = (
    "store_unavailable",
    "The store does not answer. Nothing was acknowledged; send the same request again.",
)


class PayloadTooLarge(exceptions.APIException):
    """The body is larger than MAX_BODY_BYTES, as sent or inflated."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large. Send at most 10 events in one request."
    default_code = "payload_too_large"


class UnsupportedContentEncoding(exceptions.APIException):
    """A Content-Encoding other than gzip."""

    status_code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    default_detail = "This Content-Encoding is not understood. Send gzip or none."
    default_code = "unsupported_content_encoding"


class DownloadFailed(exceptions.APIException):
    """The disk has no room for the file, or cannot be written to."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "There is no space for the file at the moment. Ask for fewer hours, or try again later."
    default_code = "download_failed"
    wait = 60


class TooManyDownloads(exceptions.APIException):
    """As many files are being sent as this process has threads to spare for."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "Other downloads are in progress. Try again in a few seconds."
    default_code = "too_many_downloads"
    wait = 5


class TooManyExpensiveReports(exceptions.APIException):
    """As many reports that read much are being made as leave room for the rest."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "Other expensive reports are being built. Ask again in a few seconds, or ask for less."
    default_code = "too_many_expensive_reports"
    wait = 2


class InvalidFields(exceptions.ValidationError):
    """Invalid input; ``errors`` are ready-made entries of the reply's ``errors``."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("Invalid.")
        self.errors = errors


def problem(*, status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """Return the body of an error reply. ``code`` names the kind of problem, once for all statuses."""
    body: dict[str, Any] = {
        "type": f"urn:player-sessions:problem:{code.replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return body


def field_errors(detail: Any, pointer: str = "") -> list[dict[str, str]]:
    """Return DRF's nested error details, flat: ``{"pointer": "/3/ts", "code": ..., "detail": ...}`` each."""
    return list(_field_errors(detail, pointer))


def problem_response(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return, as DRF's EXCEPTION_HANDLER, the reply for an exception that a view raised."""
    request: Request = context["request"]
    body = problem_of(error, method=request.method or "")
    if body is None:
        log_unforeseen(error)
        return None
    _count(body)
    headers = {"Vary": "Accept"}
    wait = RETRY_AFTER_SECONDS if isinstance(error, StoreUnavailable) else getattr(error, "wait", None)
    if wait:
        headers["Retry-After"] = str(wait)
    if getattr(getattr(request, "accepted_renderer", None), "format", None) == BrowsableAPIRenderer.format:
        return Response(body, status=body["status"], headers=headers)
    if prefers_page(request._request):
        return _page(body, headers)
    # Whoever asks for a table, a schema or a page of documentation gets its errors as everybody does.
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def problem_of(error: Exception, *, method: str) -> dict[str, Any] | None:
    """Return the body of the reply to a ``method`` whose view raised this; None: it is a bug of the service."""
    errors = None
    if isinstance(error, StoreUnavailable):
        status, (code, detail) = HTTPStatus.SERVICE_UNAVAILABLE, STORE_UNAVAILABLE
    elif isinstance(error, exceptions.ValidationError):
        status, code = HTTPStatus.BAD_REQUEST, "invalid_input"
        errors = error.errors if isinstance(error, InvalidFields) else field_errors(error.detail)
        detail = "The request has invalid values; 'errors' names each."
        if method == "POST":
            detail += " Nothing was stored."
    elif isinstance(error, exceptions.APIException):
        status, code = HTTPStatus(error.status_code), error.default_code
        detail = str(error.detail)
        if isinstance(error, exceptions.UnsupportedMediaType):
            detail += " Send Content-Type: application/json."
    elif isinstance(error, Http404):
        status, code, detail = HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address."
    elif isinstance(error, SuspiciousOperation):
        status, code, detail = HTTPStatus.BAD_REQUEST, "bad_request", _what_is_not_understood(error)
    else:
        return None
    return problem(status=status, code=code, detail=detail, errors=errors)


def prefers_page(request: HttpRequest) -> bool:
    """Return whether an error is to be a page: a browser asks, and ``?format=`` names no other form."""
    if request.get_preferred_type(FORMS) != PAGE_TYPE:
        return False
    try:
        form = request.GET.get(FORMAT, BrowsableAPIRenderer.format)
    except SuspiciousOperation:  # a query of a thousand parameters is one of the errors
        return True
    return form == BrowsableAPIRenderer.format


def log_unforeseen(error: Exception) -> None:
    """Log an unexpected error with its traceback, which the reply of ``server_error`` does not show."""
    log.error("Unexpected error", exc_info=error)


def refuse(
    environ: dict[str, Any],
    start_response: Callable[..., Any],
    *,
    code: str,
    detail: str,
    status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE,
    headers: Sequence[tuple[str, str]] = (RETRY_AFTER,),
) -> Iterable[bytes]:
    """Answer with a problem from a WSGI application, without any of the framework; unless told otherwise, 503.

    ``headers`` go with it, beside those that every reply has.
    """
    PROBLEMS.add(code)
    body = _body(status, code, detail)
    names = {name for name, _ in headers}
    common = [one for one in security_headers(environ) if one[0] not in names]
    own_headers = [
        ("Content-Type", MEDIA_TYPE),
        ("Content-Length", str(len(body))),
        (REQUEST_ID, chosen_request_id(environ)),
    ]
    start_response(f"{status.value} {status.phrase}", [*headers, *common, *own_headers])
    return [body]


@lru_cache(maxsize=256)
def _body(status: HTTPStatus, code: str, detail: str) -> bytes:
    return json.dumps(problem(status=status, code=code, detail=detail), separators=(",", ":")).encode()


class NotAllowedMiddleware:
    """Gives a body to the 405 of Django's own decorators."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        detail = f"{request.method} is not allowed here. Use {response['Allow']}."
        refusal = _plain(request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        refusal["Allow"] = response["Allow"]
        return refusal


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer as handler404: what only reads is redirected to the address with a slash, others are told of it."""
    detail = "There is nothing at this address. See /api/v1/ for what there is."
    if not request.path.endswith("/") and _is_known(request.path_info + "/"):
        if request.method in ("GET", "HEAD"):
            with suppress(DisallowedRedirect):  # the address is too long for one
                return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
        detail = f"There is nothing at this address. Did you mean {request.path}/ ?"
    return _plain(request, HTTPStatus.NOT_FOUND, "not_found", detail)


def _is_known(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer as handler400: what Django refuses before a view runs, such as a Host that is not in ALLOWED_HOSTS."""
    return _plain(request, HTTPStatus.BAD_REQUEST, "bad_request", _what_is_not_understood(exception))


def _what_is_not_understood(error: Exception) -> str:
    if isinstance(error, DisallowedHost):
        return "The Host of the request is not one of this service's. Its operator sets them in ALLOWED_HOSTS."
    if isinstance(error, TooManyFieldsSent):
        most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        return f"The address has more than {most} parameters. Send only those that it knows, each once."
    if isinstance(error, DisallowedRedirect):
        return "The address is too long to be redirected. Send fewer or shorter parameters."
    return "The request could not be understood."


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer as handler500: a bug of the service; the log has the traceback under the request's id."""
    return _plain(
        request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "A bug of the service. Its log has the details."
    )


def _plain(request: HttpRequest, status: HTTPStatus, code: str, detail: str) -> HttpResponse:
    PROBLEMS.add(code)
    body, headers = problem(status=status, code=code, detail=detail), {"Vary": "Accept"}
    if prefers_page(request):
        return _page(body, headers)
    return JsonResponse(body, status=status, content_type=MEDIA_TYPE, headers=headers)


def _count(body: Mapping[str, Any]) -> None:
    PROBLEMS.add(body["type"].rpartition(":")[2].replace("-", "_"))


def _page(body: Mapping[str, Any], headers: Mapping[str, str]) -> HttpResponse:
    html = render_to_string("problem.html", {**body, "request_id": request_id.get()})
    return HttpResponse(html, status=body["status"], headers={**PAGE_HEADERS, **headers})


def _field_errors(detail: Any, pointer: str) -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for field, nested in detail.items():
            name = field.replace("~", "~0").replace("/", "~1")  # as RFC 6901 writes them
            step = "" if field == api_settings.NON_FIELD_ERRORS_KEY else f"/{name}"
            yield from _field_errors(nested, pointer + step)
    elif isinstance(detail, list):
        for index, nested in enumerate(detail):
            # A list of messages belongs to its field; a list of dicts has one per element.
            yield from _field_errors(nested, f"{pointer}/{index}" if isinstance(nested, dict) else pointer)
    else:
        yield {"pointer": pointer, "code": detail.code, "detail": str(detail)}
