"""Bodies of bounded size, plain or gzip, and what their JSON says."""

import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.utils import json

from sessions_project.problems import PayloadTooLarge, UnsupportedContentEncoding

MOST_DIGITS = 4_000
GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib's word for "with a gzip header"


class EventsParser(BaseParser):
    """The bytes of a JSON body, at most MAX_BODY_BYTES, counted after inflating; ``Content-Encoding: gzip`` is
    understood.

    Raises PayloadTooLarge, UnsupportedContentEncoding, ParseError. Not DRF's JSONParser, for which DRF reads all of
    the body before anyone can count, and which leaves nothing for the fast lane to read.
    """

    media_type = "application/json"
    renderer_class = JSONRenderer  # of the browsable API's form

    def parse(  # type: ignore[override]  # the stubs know parsed bodies only
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        request = (parser_context or {})["request"]
        return read_body(stream, encoding=request.headers.get("Content-Encoding", "identity").strip().lower())


def received_body(request: Request) -> bytes:
    """What EventsParser read; DRF asks no parser when there is no body."""
    body: Any = request.data
    return body if isinstance(body, bytes) else b""


def parse_json(body: bytes) -> Any:
    """What the body says; ParseError when it is not JSON."""
    try:
        return load_json(body.decode())
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: byte {error.start} is wrong.") from None
    except ValueError as error:
        raise ParseError(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise ParseError("The JSON is nested too deeply.") from None


def load_json(text: str) -> Any:
    """What the text says; ValueError when it is not JSON, as NaN is not."""
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int | float:
    # Python refuses to read longer ones. No field takes them, but one that is ignored may have them.
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def read_body(stream: IO[bytes], *, encoding: str) -> bytes:
    """The inflated body."""
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedContentEncoding
    body = stream.read(settings.MAX_BODY_BYTES + 1)
    if len(body) > settings.MAX_BODY_BYTES:
        raise PayloadTooLarge
    return body if encoding == "identity" else _inflated(body)


def with_length(request: HttpRequest) -> HttpRequest:
    """The request, whose body Django would not see when the client does not say its length: in chunks, or by HTTP/2."""
    has_an_end = "HTTP_TRANSFER_ENCODING" in request.META or request.META.get("wsgi.input_terminated")
    if has_an_end and not request.META.get("CONTENT_LENGTH"):
        body = request.META["wsgi.input"].read(settings.MAX_BODY_BYTES + 1)
        request._stream = BytesIO(body)  # where Django keeps it
        request.META["CONTENT_LENGTH"] = str(len(body))
    return request


def _inflated(body: bytes) -> bytes:
    inflator = zlib.decompressobj(GZIP_WINDOW)
    try:
        inflated = inflator.decompress(body, settings.MAX_BODY_BYTES + 1)
    except zlib.error:
        raise ParseError("The body is not gzip, though Content-Encoding says so.") from None
    if len(inflated) > settings.MAX_BODY_BYTES:
        raise PayloadTooLarge
    if not inflator.eof:
        raise ParseError("The gzip body ends too early.")
    if inflator.unused_data:
        raise ParseError("There is more behind the gzip body. Send it as one gzip member.")
    return inflated
