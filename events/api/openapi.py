"""What the OpenAPI schema says of events beside the code: headers, examples, bounds."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer

from events.domain import START
from events.serializers import EventSerializer, ReceiptSerializer
from events.validators import MAX_BATCH_SIZE, MIN_BATCH_SIZE
from web.openapi import problems
from web.problems import InvalidFields

SESSION_ID = "4a0c43c9-c43a-42ff-ba55-67563dfa35d4"
EXAMPLE_EVENT = {"event": "start", "player_id": "player_2", "country": "US"}
EXAMPLE_BATCH = [
    {"event": "start", "player_id": "player_2", "session_id": SESSION_ID, "country": "US"},
    {"event": "end", "player_id": "player_2", "session_id": SESSION_ID},
]
BATCH_EXAMPLES = [
    OpenApiExample("a batch", value=EXAMPLE_BATCH, request_only=True),
    OpenApiExample("one event", value=EXAMPLE_EVENT, request_only=True),
    OpenApiExample(
        "stored",
        value={"stored": 1, "discarded": 0, "results": [{"session_id": SESSION_ID, "status": "stored"}]},
        response_only=True,
        status_codes=["201"],
    ),
]

# What the parts of the batch raise for an event that lacks its country.
MISSING_COUNTRY = {"code": "required", "detail": "A start needs a country."}

EVENT_OR_BATCH = PolymorphicProxySerializer(
    component_name="EventOrBatch",
    serializers=[EventSerializer, EventSerializer(many=True)],
    resource_type_field_name=None,
    many=False,
)
RECEIPT = OpenApiResponse(ReceiptSerializer, description="Every event was valid; the stored ones are durable.")
LENIENT_RECEIPT = OpenApiResponse(
    ReceiptSerializer,
    description="With Prefer: handling=lenient: some events were invalid, the others are durable or were discarded.",
)

PREFER = OpenApiParameter(
    "Prefer",
    location=OpenApiParameter.HEADER,
    description="`handling=lenient` (RFC 7240): store the valid events even when others are invalid.",
)
CONTENT_ENCODING = OpenApiParameter(
    "Content-Encoding", location=OpenApiParameter.HEADER, enum=["gzip", "identity"], description="The body's."
)
PREFERENCE_APPLIED = OpenApiParameter(
    "Preference-Applied",
    location=OpenApiParameter.HEADER,
    response=[201, 207],
    description="`handling=lenient` when that was asked for.",
)


def event_problems(pointer: str) -> dict[Any, OpenApiResponse]:
    """Return the problem details of an address that takes events, with one of a start at the ``pointer``."""
    invalid = InvalidFields([{"pointer": f"{pointer}/country", **MISSING_COUNTRY}])
    return problems(400, 406, 413, 415, 429, 503, invalid=invalid, method="POST")


def bound_batches(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to the schema how many events a batch may have, and what a start and a request need (drf-spectacular hook).

    A batch has a name: without one, makers of clients invent some.
    """
    schemas = result["components"]["schemas"]
    either = schemas["EventOrBatchRequest"]["oneOf"]
    schemas["BatchRequest"] = {**either[1], "minItems": MIN_BATCH_SIZE, "maxItems": MAX_BATCH_SIZE}
    either[1] = {"$ref": "#/components/schemas/BatchRequest"}
    schemas["EventRequest"] |= {
        "if": {"properties": {"event": {"const": START}}},
        "then": {"required": ["country"], "properties": {"country": {"type": "string"}}},
    }
    for path in ("/api/v1/events/", "/event-handler"):
        result["paths"][path]["post"]["requestBody"]["required"] = True
    return result
