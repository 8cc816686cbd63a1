"""What drf-spectacular is told beside the code: headers, examples, error replies."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer

from events.domain import START
from events.serializers import EventSerializer, ProblemSerializer, ReceiptSerializer
from events.validators import MAX_BATCH_SIZE, MIN_BATCH_SIZE

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

EVENT_OR_BATCH = PolymorphicProxySerializer(
    component_name="EventOrBatch",
    serializers=[EventSerializer, EventSerializer(many=True)],
    resource_type_field_name=None,
    many=False,
)
RECEIPT = OpenApiResponse(ReceiptSerializer, description="Every event was valid; the stored ones are durable.")
LENIENT_RECEIPT = OpenApiResponse(
    ReceiptSerializer, description="With Prefer: handling=lenient: some events were invalid, the others are durable."
)

PREFER = OpenApiParameter(
    "Prefer",
    location=OpenApiParameter.HEADER,
    description="`handling=lenient` (RFC 7240): store the valid events even when others are invalid.",
    examples=[OpenApiExample("lenient", value="handling=lenient")],
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
REQUEST_ID = OpenApiParameter(
    "X-Request-ID",
    location=OpenApiParameter.HEADER,
    response=True,
    description="Taken from the request's header of this name, or made; every log line of the request has it.",
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    type=OpenApiTypes.INT,
    location=OpenApiParameter.HEADER,
    response=[503],
    description="Seconds.",
)
COMMON_HEADERS = [REQUEST_ID, RETRY_AFTER]

PROBLEMS = {
    400: "A value is invalid; `errors` points at each. Nothing was stored.",
    404: "Nothing is at this address.",
    406: "The Accept header asks for a media type that is not offered.",
    413: "The body is larger than 256 KiB, as sent or inflated. Nothing was stored.",
    415: "Not JSON, or a Content-Encoding other than gzip. Nothing was stored.",
    503: "Cassandra does not answer in time. Nothing was acknowledged; send the same request again.",
}


def bound_batches(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A drf-spectacular hook: how many events a batch may have, and what a start and a request need."""
    schemas = result["components"]["schemas"]
    _, batch = schemas["EventOrBatchRequest"]["oneOf"]
    batch |= {"minItems": MIN_BATCH_SIZE, "maxItems": MAX_BATCH_SIZE}
    schemas["EventRequest"] |= {"if": {"properties": {"event": {"const": START}}}, "then": {"required": ["country"]}}
    for path in ("/api/v1/events/", "/event-handler"):
        result["paths"][path]["post"]["requestBody"]["required"] = True
    return result


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """Problem details for these statuses, as drf-spectacular's ``responses`` wants them."""
    return {
        (status, "application/problem+json"): OpenApiResponse(ProblemSerializer, description=PROBLEMS[status])
        for status in statuses
    }
