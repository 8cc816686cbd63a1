"""Receiving events."""

from collections import Counter
from http import HTTPStatus
from itertools import compress
from operator import itemgetter
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

from access.limits import EVENTS_BROUGHT
from events.api import openapi
from events.api.parsers import EventsParser, parse_json, received_body, with_length
from events.clock import wall_clock_ms
from events.decoding import FastDecoder
from events.domain import Event
from events.serializers import EventSerializer
from events.services import record_events
from events.validators import MAX_BATCH_SIZE, MIN_BATCH_SIZE, BatchSizeValidator
from metrics.catalogue import EVENT_AGE, EVENTS
from web.openapi import COMMON_HEADERS
from web.problems import InvalidFields, field_errors
from web.query import refuse_other_parameters

LENIENT = "handling=lenient"
# Entry points, as metrics call them.
API, LEGACY = "api", "legacy"
# Entries of a problem's ``errors``.
Errors = list[dict[str, str]]


class EventViewSet(ViewSet):
    """Send 1 to 10 session events as a JSON array, or one event as an object.

    The reply has the result of each event, and comes only when the stored ones are durable. Any invalid event
    refuses the whole batch, unless you send `Prefer: handling=lenient`. Sending events again changes nothing when they
    name their `session_id` and `ts`.
    """

    parser_classes = [EventsParser]
    example_body: Any = openapi.EXAMPLE_BATCH
    # Built once: DRF copies every field for each new serializer.
    event_serializer = EventSerializer()
    validate_batch_size = BatchSizeValidator()
    # What metrics call it.
    entry_point = API

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return super().initialize_request(with_length(request), *args, **kwargs)

    @extend_schema(
        operation_id="record_events",
        summary="Store 1 to 10 session events",
        tags=["events"],
        request=openapi.EVENT_OR_BATCH,
        parameters=[openapi.PREFER, openapi.CONTENT_ENCODING, openapi.PREFERENCE_APPLIED, *COMMON_HEADERS],
        responses={
            201: openapi.RECEIPT,
            207: openapi.LENIENT_RECEIPT,
            **openapi.event_problems("/0"),
        },
        examples=openapi.BATCH_EXAMPLES,
    )
    def create(self, request: Request) -> Response:
        refuse_other_parameters(request.query_params)
        lenient = prefers_lenient(request.headers.get("Prefer", ""))
        body = receipt(self.receive(request, lenient=lenient))
        return Response(
            body,
            status=HTTPStatus.MULTI_STATUS if "invalid" in body else HTTPStatus.CREATED,
            headers={"Preference-Applied": LENIENT} if lenient else None,
        )

    def receive(self, request: Request, *, lenient: bool = False) -> list[dict[str, Any]]:
        """Store the events of the body and return the result of each, in their order."""
        body = received_body(request)  # the client may take its time
        now_ms = wall_clock_ms()
        validated = self.validate(body, now_ms=now_ms, lenient=lenient)
        request.META[EVENTS_BROUGHT] = len(validated)
        return record(validated, now_ms=now_ms, entry_point=self.entry_point)

    def validate(self, body: bytes, *, now_ms: int, lenient: bool) -> list[Event | Errors]:
        """Return each event of the body, or what is wrong with it; raise InvalidFields if all of it must be refused."""
        decoded = FastDecoder(now_ms=now_ms).events(body)
        return [*decoded] if decoded else self.validate_in_full(parse_json(body), now_ms=now_ms, lenient=lenient)

    def validate_in_full(self, body: Any, *, now_ms: int, lenient: bool) -> list[Event | Errors]:
        """Return the same by the serializer."""
        single = isinstance(body, dict)
        batch = [body] if single else body
        if not isinstance(batch, list):
            wanted = f"Send a JSON array of {MIN_BATCH_SIZE} to {MAX_BATCH_SIZE} events, or one event."
            raise InvalidFields([{"pointer": "", "code": "not_a_batch", "detail": wanted}])
        self.validate_batch_size(batch)
        validated = [self.event_serializer.to_event(item, now_ms=now_ms) for item in batch]
        results = [
            field_errors(one.detail, "" if single else f"/{index}") if isinstance(one, ValidationError) else one
            for index, one in enumerate(validated)
        ]
        errors = [error for one in results if isinstance(one, list) for error in one]
        if errors and not lenient:
            EVENTS.add(self.entry_point, "invalid", number=sum(isinstance(one, list) for one in results))
            raise InvalidFields(errors)
        return results


class EventHandlerViewSet(EventViewSet):
    """The legacy endpoint: one event object, answered with 204 and no body."""

    example_body = openapi.EXAMPLE_EVENT
    entry_point = LEGACY

    @extend_schema(
        operation_id="event_handler",
        summary="Store one session event (legacy endpoint)",
        description="Use `POST /api/v1/events/` in new clients.",
        tags=["legacy endpoints"],
        request=EventSerializer,
        parameters=[openapi.CONTENT_ENCODING, *COMMON_HEADERS],
        responses={
            204: OpenApiResponse(description="Durable, or discarded: too old, or of an erased player."),
            **openapi.event_problems(""),
        },
        examples=[OpenApiExample("a start", value=openapi.EXAMPLE_EVENT, request_only=True)],
    )
    def create(self, request: Request) -> Response:
        self.receive(request)
        return Response(status=HTTPStatus.NO_CONTENT)


def prefers_lenient(preferences: str) -> bool:
    """Return whether a Prefer header (RFC 7240) asks for lenient handling; of two values the first counts."""
    for preference in preferences.lower().split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip() == "handling":
            return value.strip().strip('"') == "lenient"
    return False


def record(validated: list[Event | Errors], *, now_ms: int, entry_point: str) -> list[dict[str, Any]]:
    """Store the events and return the result of each, and of what is none, in their order."""
    events = [one for one in validated if isinstance(one, Event)]
    is_stored = record_events(events, now_ms=now_ms, began_ms=now_ms)
    _count(events, is_stored, now_ms=now_ms, entry_point=entry_point, invalid=len(validated) - len(events))
    stored = iter(is_stored)
    return [
        {"session_id": one.session_id, "status": "stored" if next(stored) else "discarded"}
        if isinstance(one, Event)
        else {"status": "invalid", "errors": one}
        for one in validated
    ]


def _count(events: list[Event], is_stored: list[bool], *, now_ms: int, entry_point: str, invalid: int) -> None:
    """Count the events of a batch, and how old those are that are stored."""
    ages = [(now_ms - event.ts_ms) / 1000 for event in compress(events, is_stored)]
    for outcome, number in (("stored", len(ages)), ("discarded", len(events) - len(ages)), ("invalid", invalid)):
        if number:
            EVENTS.add(entry_point, outcome, number=number)
    EVENT_AGE.observe_all(ages)


def receipt(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the reply's body: how many events had which result, and the result of each."""
    number = Counter(map(itemgetter("status"), results))
    invalid = {"invalid": number["invalid"]} if number["invalid"] else {}
    return {"stored": number["stored"], "discarded": number["discarded"], **invalid, "results": results}
