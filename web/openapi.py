"""What the OpenAPI schema says of every operation: the headers and the error replies that they share."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

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
    response=[429, 503],
    description="Seconds.",
)
COMMON_HEADERS = [REQUEST_ID, RETRY_AFTER]

PROBLEMS = {
    401: "With `AUTH=keys`: no key was sent, or one that is not valid. Nothing was done.",
    403: "With `AUTH=keys`: the key has not the scope that this needs. Nothing was done.",
    429: "With `AUTH=keys`: the key has sent more events than it may. Nothing was stored; send the same request again "
    "after `Retry-After`.",
    400: "A value is invalid, and `errors` points at each; or the body is not JSON, and `detail` says why. "
    "Nothing was done.",
    406: "Neither `Accept` nor `?format=` names a form that is offered.",
    413: "The body is larger than 256 KiB, as sent or inflated. Nothing was stored.",
    415: "Not JSON, or a Content-Encoding other than gzip. Nothing was stored.",
    503: "Cassandra does not answer in time, or more is asked than can be done. Nothing was acknowledged; send the "
    "same request again.",
}


class FieldErrorSerializer(serializers.Serializer[Any]):
    """One wrong value."""

    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901) to the value, such as /3/ts.")
    code = serializers.CharField(help_text="For programs; stable.")
    detail = serializers.CharField(help_text="For people: what to send instead.")


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem detail (RFC 9457)."""

    type = serializers.CharField(help_text="Names the kind of problem; stable.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]  # hides DRF's property on purpose


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """Problem details for these statuses and those of keys, as drf-spectacular's ``responses`` wants them."""
    return {
        (status, "application/problem+json"): OpenApiResponse(ProblemSerializer, description=PROBLEMS[status])
        for status in sorted({*statuses, 401, 403})
    }
