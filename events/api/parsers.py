"""Bodies of bounded size, plain or gzip, and what their JSON says."""

import zlib
from codecs import BOM_UTF8
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from events.decoding import load_json
from web.problems import PayloadTooLarge, UnsupportedContentEncoding

GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib's word for "with a gzip header"
# A client that packs each event by itself sends ten. What stands behind a member is copied to read on.
MOST_GZIP_MEMBERS = 100


class EventsParser(BaseParser):
    """Reads the bytes of a JSON body, plain or gzip, without a byte order mark.

    They are at most MAX_BODY_BYTES, counted after inflating.

    Raises PayloadTooLarge, UnsupportedContentEncoding, ParseError. Not DRF's JSONParser, for which DRF reads all of
    the body before anyone can count, and which leaves nothing for the fast decoder to read.
    """

    media_type = "application/json"
    renderer_class = JSONRenderer  # of the browsable API's form

    def parse(  # type: ignore[override]  # the stubs know parsed bodies only
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        request = (parser_context or {})["request"]
        return read_body(
            stream,
            length=int(request.META.get("CONTENT_LENGTH") or 0),
            encoding=request.headers.get("Content-Encoding", ""),
        )


def received_body(request: Request) -> bytes:
    """Return what EventsParser read; DRF asks no parser when there is no body."""
    body: Any = request.data
    return body if isinstance(body, bytes) else b""


def parse_json(body: bytes) -> Any:
    """Return what the body says; ParseError when it is not JSON."""
    try:
        return load_json(body.decode())
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: byte {error.start} is wrong.") from None
    except ValueError as error:
        raise ParseError(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise ParseError("The JSON is nested too deeply.") from None


def read_body(stream: IO[bytes], *, length: int, encoding: str) -> bytes:
    """Return the inflated body. ``length`` and ``encoding`` are what its headers say."""
    is_gzip = _is_gzip(encoding)
    # Before it is read: a client that asks first (Expect: 100-continue) then need not send it.
    if length > settings.MAX_BODY_BYTES:
        raise PayloadTooLarge
    body = stream.read(length)
    if len(body) < length:
        raise ParseError(f"The body was cut off: {len(body)} of {length} bytes came (Content-Length). Send it again.")
    return (_inflated(body) if is_gzip else body).removeprefix(BOM_UTF8)


def with_length(request: HttpRequest) -> HttpRequest:
    """Return the request, with the length of a body whose client does not say it: in chunks, or by HTTP/2.

    Django would not see such a body.
    """
    has_an_end = "HTTP_TRANSFER_ENCODING" in request.META or request.META.get("wsgi.input_terminated")
    if has_an_end and not request.META.get("CONTENT_LENGTH"):
        body = request.META["wsgi.input"].read(settings.MAX_BODY_BYTES + 1)
        request._stream = BytesIO(body)  # where Django keeps it
        request.META["CONTENT_LENGTH"] = str(len(body))
    return request


def _is_gzip(encoding: str) -> bool:
    """Return whether a Content-Encoding says gzip; nothing and ``identity`` say that the body is as it is."""
    codings = [coding for one in encoding.lower().split(",") if (coding := one.strip()) not in ("", "identity")]
    if codings and codings not in (["gzip"], ["x-gzip"]):
        raise UnsupportedContentEncoding
    return bool(codings)


def _inflated(packed: bytes) -> bytes:
    """Return what all members of a gzip body say together (RFC 1952)."""
    body, remainder = b"", packed
    for _ in range(MOST_GZIP_MEMBERS):
        inflator = zlib.decompressobj(GZIP_WINDOW)
        try:
            body += inflator.decompress(remainder, settings.MAX_BODY_BYTES + 1 - len(body))
        except zlib.error:
            what = "The body" if remainder is packed else "What follows the end of the gzip body"
            raise ParseError(f"{what} is not gzip, though Content-Encoding says so.") from None
        if len(body) > settings.MAX_BODY_BYTES:
            raise PayloadTooLarge
        if not inflator.eof:
            raise ParseError("The gzip body ends too early.")
        remainder = inflator.unused_data
        if not remainder:
            return body
    raise ParseError(f"The gzip body has more than {MOST_GZIP_MEMBERS} members. Send it as one.")
