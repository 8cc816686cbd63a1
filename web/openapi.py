"""What the OpenAPI schema says of every operation: the headers and the error replies that they share."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.views import APIView

from store.errors import StoreUnavailable
from web.problems import MEDIA_TYPE, PayloadTooLarge, problem_of
from web.rendering import not_acceptable

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

# Of every address.
OF_KEYS = (401, 403)
PROBLEMS = {
    401: "With `AUTH=keys`: no key was sent, or one that is not valid. Nothing was done.",
    403: "With `AUTH=keys`: the key does not have the scope that this needs. Nothing was done.",
    429: "With `AUTH=keys`: the key has sent more events than it may. Nothing was stored; send the same request again "
    "after `Retry-After`.",
    400: "A value is invalid, and `errors` points at each; or the body is not JSON, and `detail` says why. "
    "Nothing was done.",
    406: "`Accept` or `?format=` names no format that is offered.",
    413: "The body is larger than `MAX_BODY_BYTES` (256 KiB by default), as sent or inflated. Nothing was stored.",
    415: "Not JSON, or a Content-Encoding other than gzip. Nothing was stored.",
    503: "Cassandra does not answer in time, or there are more requests than can be handled. Nothing was acknowledged; "
    "send the same request again.",
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


def problems(
    *statuses: int,
    invalid: ValidationError,
    method: str = "GET",
    renderers: Sequence[type[BaseRenderer]] = APIView.renderer_classes,
) -> dict[Any, OpenApiResponse]:
    """Return problem details for these statuses and those of keys, as drf-spectacular's ``responses`` wants them.

    Each has an example, which is what an address of these ``renderers`` answers to the ``method``; ``invalid`` is what
    its view raises for some wrong value.
    """
    raised: dict[int, Exception] = {
        HTTPStatus.BAD_REQUEST: invalid,
        HTTPStatus.NOT_ACCEPTABLE: not_acceptable(renderers),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: PayloadTooLarge(),
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType("text/plain"),
        HTTPStatus.SERVICE_UNAVAILABLE: StoreUnavailable(),
    }
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            ProblemSerializer,
            description=PROBLEMS[status],
            examples=[
                OpenApiExample(HTTPStatus(one).phrase, value=problem_of(raised[one], method=method))
                for one in {status} & raised.keys()
            ],
        )
        for status in (*statuses, *OF_KEYS)
    }
