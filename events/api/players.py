"""Erasing a player over HTTP."""

from http import HTTPStatus
from itertools import islice
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from access.authorization import KEY
from events.domain import format_timestamp
from events.serializers import PLAYER_ID_SCHEMA, PlayerIdField
from events.upkeep.erasing import (
    DONE,
    MOST_SESSIONS_AT_ONCE,
    PENDING,
    Erasure,
    erase_known,
    erasure_of,
    request_erasure,
    stands_for_nobody,
)
from events.upkeep.player_rows import MEDIA_TYPE, last_line, lines_of
from web.openapi import COMMON_HEADERS, problems
from web.query import refuse_other_parameters, unknown_parameter

NOT_ERASED = "not_erased"
# In memory at a time: 4 MB. Those of a player with a hundred sessions a day for a month.
MOST_ROWS = 10_000

UNKNOWN_PARAMETER = ValidationError({"page": [unknown_parameter("page", [])]})
PLAYER = OpenApiParameter(
    "player_id",
    PLAYER_ID_SCHEMA,
    location=OpenApiParameter.PATH,
    description="As it was sent in events.",
    examples=[OpenApiExample("a player", value="player_2")],
)


class ErasureSerializer(serializers.Serializer[Any]):
    """How far the erasure of a player has come."""

    player_id = serializers.CharField()
    until = serializers.DateTimeField(
        allow_null=True, help_text="What happened then or before is erased, and discarded when it comes again."
    )
    state = serializers.ChoiceField(
        [NOT_ERASED, PENDING, DONE], help_text="`done`: it is verified that no table has anything of it any more."
    )


class PlayerViewSet(ViewSet):
    """Erase a player: everything that is stored, and everything of then that comes later."""

    @extend_schema(
        operation_id="erase_player",
        summary="Erase a player",
        description="Everything of the player up to now goes (and up to `FUTURE_TOLERANCE_SECONDS` ahead): from the "
        "reports of the player and all counts at once, from cached reports within 50 s. What comes of it later is "
        "`discarded`. The state is `done` when all tables have been read: by the daily audit, or by `manage.py "
        "erase_players --pending`. "
        "Sending it again moves `until` on. Ids that stand for nobody, such as `null`, are refused.",
        tags=["players"],
        parameters=[PLAYER, *COMMON_HEADERS],
        responses={202: ErasureSerializer, **problems(400, 406, 503, invalid=UNKNOWN_PARAMETER)},
    )
    def destroy(self, request: Request, player_id: str) -> Response:
        player_id = _asked(request, player_id)
        if stands_for_nobody(player_id):
            wanted = (
                "This id stands for nobody, or for many. To erase it all the same: manage.py erase_players --force."
            )
            raise ValidationError({"player_id": [wanted]}, code="stands_for_nobody")
        erasure = request_erasure(player_id, requested_by=_asked_by(request))
        erase_known(erasure, most_sessions=MOST_SESSIONS_AT_ONCE, seconds=settings.REPORT_SECONDS)
        return Response(_body(player_id, erasure), status=HTTPStatus.ACCEPTED)

    @extend_schema(
        operation_id="erasure_of_player",
        summary="Whether a player was erased",
        tags=["players"],
        parameters=[PLAYER, *COMMON_HEADERS],
        responses={200: ErasureSerializer, **problems(400, 406, 503, invalid=UNKNOWN_PARAMETER)},
    )
    def retrieve(self, request: Request, player_id: str) -> Response:
        player_id = _asked(request, player_id)
        return Response(_body(player_id, erasure_of(player_id)))


class NdjsonRenderer(BaseRenderer):
    """Gives the lines as they are."""

    media_type = MEDIA_TYPE
    format = "ndjson"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return str(data).encode()


class PlayerExportViewSet(ViewSet):
    """What is stored of a player."""

    renderer_classes = [NdjsonRenderer]

    @extend_schema(
        operation_id="export_player",
        summary="Every row of a player",
        description='A JSON line for each row that names the player, `{"table": ..., "row": {...}}`, as Cassandra has '
        'it; the last line, `{"rows": N}`, says how many there are. A start that a later start of the same session '
        "superseded is not among them: `manage.py export_player` reads all starts and finds it. For a player with more "
        f"than {MOST_ROWS:,} rows it is the only way.",
        tags=["players"],
        parameters=[PLAYER, *COMMON_HEADERS],
        responses={(200, MEDIA_TYPE): OpenApiTypes.STR, **problems(400, 406, 503, invalid=UNKNOWN_PARAMETER)},
    )
    def retrieve(self, request: Request, player_id: str) -> Response:
        player_id = _asked(request, player_id)
        lines = [*islice(lines_of(player_id), MOST_ROWS + 1)]
        if len(lines) > MOST_ROWS:
            wanted = f"This player has more than {MOST_ROWS:,} rows. Use manage.py export_player."
            raise ValidationError({"player_id": [wanted]}, code="too_many_rows")
        return Response("".join([*lines, last_line(len(lines))]), headers={"Cache-Control": "no-store"})


def _asked_by(request: Request) -> str:
    """Return the name of the key that was sent."""
    return request.META[KEY].name if KEY in request.META else "http"


def _asked(request: Request, player_id: str) -> str:
    """Return the id in the address; raise ValidationError."""
    refuse_other_parameters(request.query_params)
    try:
        return PlayerIdField().to_internal_value(player_id)
    except ValidationError as error:
        raise ValidationError({"player_id": error.detail}) from None


def _body(player_id: str, erasure: Erasure | None) -> dict[str, Any]:
    until = format_timestamp(erasure.until_ms) if erasure else None
    return {"player_id": player_id, "until": until, "state": erasure.state if erasure else NOT_ERASED}
