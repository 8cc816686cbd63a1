"""Well-formed batches on the fast path (``web/fast_path.py``): those that FastDecoder accepts.

events/tests/test_fast_path.py holds both ways to equal replies.
"""

from collections.abc import Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django.conf import settings
from django.urls import reverse
from rest_framework.utils.mediatypes import media_type_matches

from access.limits import EVENTS_BROUGHT
from events.api.parsers import EventsParser
from events.api.views import API, receipt, record
from events.clock import wall_clock_ms
from events.decoding import FastDecoder
from web.fast_path import PLAIN_ACCEPT, Ordinary, Reply
from web.rendering import FastJSONRenderer

# With these a body is read in another way, or the reply has more to say.
NOT_PLAIN = {"HTTP_PREFER", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT"}
ALLOW = "POST, OPTIONS"
# Of the view. No reply is so long that it is worth to be compressed.
HEADERS = [("Content-Type", FastJSONRenderer.media_type), ("Vary", "Accept"), ("Allow", ALLOW)]

_renderer = FastJSONRenderer()


def batches() -> Ordinary:
    """Return how well-formed batches are answered."""
    path = reverse("events")
    return Ordinary(
        takes=lambda environ: environ["PATH_INFO"] == path and _is_plain(environ), answer=_answer, allow=ALLOW
    )


def _is_plain(environ: Mapping[str, Any]) -> bool:
    """Return whether the full stack gives 201 to a request whose body is well-formed, if it answers for its host."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and not environ["QUERY_STRING"]
        and environ.get("HTTP_ACCEPT", "*/*") in PLAIN_ACCEPT
        and NOT_PLAIN.isdisjoint(environ)
        and _is_of_known_length(environ.get("CONTENT_LENGTH", ""))
        and _is_json(environ.get("CONTENT_TYPE", ""))
    )


def _is_of_known_length(length: str) -> bool:
    """Return whether a body says its length, and may have it: a larger one is refused before it is read."""
    return length.isdecimal() and int(length) <= settings.MAX_BODY_BYTES


def _is_json(content_type: str) -> bool:
    """Return whether DRF chooses EventsParser."""
    return content_type == EventsParser.media_type or media_type_matches(EventsParser.media_type, content_type)


def _answer(environ: dict[str, Any]) -> Reply | None:
    """Store the events of a well-formed body."""
    body = environ["wsgi.input"].read(length := int(environ["CONTENT_LENGTH"]))  # the client may take its time
    environ["wsgi.input"] = BytesIO(body)
    now_ms = wall_clock_ms()
    # One that is shorter was cut off.
    events = FastDecoder(now_ms=now_ms).events(body) if len(body) == length else None
    if not events:
        return None
    environ[EVENTS_BROUGHT] = len(events)
    content = _renderer.render(receipt(record([*events], now_ms=now_ms, entry_point=API)))
    return Reply(HTTPStatus.CREATED, HEADERS, content)
