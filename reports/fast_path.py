"""The last completed sessions of a player on the fast path (``web/fast_path.py``), cached as every report is.

A player's report is asked for once and hardly again, so it takes what the framework takes each time.
reports/tests/test_fast_path.py holds both ways to equal replies.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property

from events.domain import PLAYER_ID
from reports.serializers import PlayerQuerySerializer, spelled
from reports.urls import last_sessions
from reports.views import READS
from web.compression import compressible
from web.fast_path import PLAIN_ACCEPT, Ordinary, Reply
from web.rendering import FastJSONRenderer


class _Request(WSGIRequest):
    """A request whose environment changes no more: its address, of which four keys are made, is put together once."""

    @cached_property
    def _address(self) -> str:
        return super().build_absolute_uri()

    def build_absolute_uri(self, location: str | None = None) -> str:
        return super().build_absolute_uri(location) if location else self._address


def players() -> Ordinary:
    """Return how the report of a player is answered that is asked for without parameters."""
    before, _, behind = reverse("player-sessions", kwargs={"player_id": "_"}).rpartition("_")
    # As every spelling of the question is cached.
    query = urlencode(sorted(spelled(PlayerQuerySerializer, {}).items()))

    def takes(environ: Mapping[str, Any]) -> bool:
        path = environ["PATH_INFO"]
        return (
            path.startswith(before)
            and path.endswith(behind)
            and environ["REQUEST_METHOD"] == "GET"
            and not environ["QUERY_STRING"]
            and environ.get("HTTP_ACCEPT", "*/*") in PLAIN_ACCEPT
            and PLAYER_ID.match(path[len(before) : -len(behind)]) is not None
        )

    def answer(environ: dict[str, Any]) -> Reply:
        player_id = environ["PATH_INFO"][len(before) : -len(behind)]
        environ.pop("HTTP_AUTHORIZATION", None)  # as in reports/urls.py
        environ |= {"QUERY_STRING": query, "HTTP_ACCEPT": FastJSONRenderer.media_type}
        response = last_sessions(_Request(environ), player_id)
        assert isinstance(response, HttpResponse)  # it is not streamed
        compressible(response)
        return Reply(HTTPStatus(response.status_code), [*response.items()], response.content)

    return Ordinary(takes, answer, allow=READS)
