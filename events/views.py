"""Receiving events."""

from collections import Counter
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
)
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from events import schema
from events.clock import wall_clock_ms
from events.domain import Event
from events.parsers import EventsParser, parse_json, received_body, with_length
from events.plain import PlainReader
from events.serializers import EventSerializer
from events.services import record_events
from events.validators import MAX_BATCH_SIZE, MIN_BATCH_SIZE, BatchSizeValidator
from sessions_project.problems import InvalidFields, field_errors
from sessions_project.query import refuse_other_parameters
from sessions_project.schema import COMMON_HEADERS, problems

LENIENT = "handling=lenient"
# Entries of a problem's ``errors``.
Errors = list[dict[str, str]]


class EventViewSet(ViewSet):
    """Send 1 to 10 session events as a JSON array, or one event as an object.

    The reply says for each event what became of it, and comes only when the stored ones are durable. Any invalid event
    refuses the whole batch, unless you send `Prefer: handling=lenient`. Sending events again changes nothing when they
    name their `session_id` and `ts`.
    """

    parser_classes = [EventsParser]
    example_body: Any = schema.EXAMPLE_BATCH
    # Built once: DRF copies every field for each new serializer.
    event_serializer = EventSerializer()
    validate_batch_size = BatchSizeValidator()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return super().initialize_request(with_length(request), *args, **kwargs)

    @extend_schema(
        operation_id="record_events",
        summary="Store 1 to 10 session events",
        tags=["events"],
        request=schema.EVENT_OR_BATCH,
        parameters=[schema.PREFER, schema.CONTENT_ENCODING, schema.PREFERENCE_APPLIED, *COMMON_HEADERS],
        responses={
            201: schema.RECEIPT,
            207: schema.LENIENT_RECEIPT,
            **problems(400, 406, 413, 415, 503),
        },
        examples=schema.BATCH_EXAMPLES,
    )
    def create(self, request: Request) -> Response:
        refuse_other_parameters(request.query_params)
        lenient = prefers_lenient(request.headers.get("Prefer", ""))
        told = receipt(self.receive(request, lenient=lenient))
        return Response(
            told,
            status=HTTPStatus.MULTI_STATUS if "invalid" in told else HTTPStatus.CREATED,
            headers={"Preference-Applied": LENIENT} if lenient else None,
        )

    def receive(self, request: Request, *, lenient: bool = False) -> list[dict[str, Any]]:
        """Store the events of the body and tell, in their order, what became of each."""
        body = received_body(request)  # the client may take its time
        now_ms = wall_clock_ms()
        return record(self.judge(body, now_ms=now_ms, lenient=lenient), now_ms=now_ms)

    def judge(self, body: bytes, *, now_ms: int, lenient: bool) -> list[Event | Errors]:
        """Each event of the body, or what is wrong with it; InvalidFields when the body must be refused whole."""
        plain = PlainReader(now_ms=now_ms).events(body)
        return [*plain] if plain else self.judge_thoroughly(parse_json(body), now_ms=now_ms, lenient=lenient)

    def judge_thoroughly(self, body: Any, *, now_ms: int, lenient: bool) -> list[Event | Errors]:
        """The same by the serializer."""
        single = isinstance(body, dict)
        batch = [body] if single else body
        if not isinstance(batch, list):
            wanted = f"Send a JSON array of {MIN_BATCH_SIZE} to {MAX_BATCH_SIZE} events, or one event."
            raise InvalidFields([{"pointer": "", "code": "not_a_batch", "detail": wanted}])
        self.validate_batch_size(batch)
        verdicts = [self.event_serializer.judge(item, now_ms=now_ms) for item in batch]
        judged = [
            field_errors(verdict.detail, "" if single else f"/{index}")
            if isinstance(verdict, ValidationError)
            else verdict
            for index, verdict in enumerate(verdicts)
        ]
        errors = [error for verdict in judged if isinstance(verdict, list) for error in verdict]
        if errors and not lenient:
            raise InvalidFields(errors)
        return judged


class EventHandlerViewSet(EventViewSet):
    """The earlier address: one event object, answered with 204 and no body."""

    example_body = schema.EXAMPLE_EVENT

    @extend_schema(
        operation_id="event_handler",
        summary="Store one session event (earlier address)",
        description="Use `POST /api/v1/events/` in new clients.",
        tags=["earlier addresses"],
        request=EventSerializer,
        parameters=[schema.CONTENT_ENCODING, *COMMON_HEADERS],
        responses={
            204: OpenApiResponse(description="Durable, or too old and discarded."),
            **problems(400, 406, 413, 415, 503),
        },
        examples=[OpenApiExample("a start", value=schema.EXAMPLE_EVENT, request_only=True)],
    )
    def create(self, request: Request) -> Response:
        self.receive(request)
        return Response(status=HTTPStatus.NO_CONTENT)


def prefers_lenient(preferences: str) -> bool:
    """Whether a Prefer header (RFC 7240) asks for lenient handling; of two values the first counts."""
    for preference in preferences.lower().split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip() == "handling":
            return value.strip().strip('"') == "lenient"
    return False


def record(judged: list[Event | Errors], *, now_ms: int) -> list[dict[str, Any]]:
    """Store the events among the verdicts and tell, in their order, what became of each."""
    events = [verdict for verdict in judged if isinstance(verdict, Event)]
    stored = iter(record_events(events, now_ms=now_ms, began_ms=now_ms))
    return [
        {"session_id": str(verdict.session_id), "status": "stored" if next(stored) else "discarded"}
        if isinstance(verdict, Event)
        else {"status": "invalid", "errors": verdict}
        for verdict in judged
    ]


def receipt(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The reply's body: how many events had which result, and the result of each."""
    number = Counter(result["status"] for result in results)
    invalid = {"invalid": number["invalid"]} if number["invalid"] else {}
    return {"stored": number["stored"], "discarded": number["discarded"], **invalid, "results": results}
