"""``/api/v1/``: the addresses of the API."""

from collections.abc import Iterable

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from web.links import link
from web.openapi import COMMON_HEADERS, problems
from web.query import refuse_other_parameters, unknown_parameter

# Names of routes, and the parts of their paths that a client fills in.
ROUTES: dict[str, tuple[str, ...]] = {
    "events": (),
    "starts": (),
    "starts-of-country": ("country",),
    "starts-timeline": (),
    "measures": (),
    "player-sessions": ("player_id",),
    "player": ("player_id",),
}
# The same of those whose replies have formats of their own: a format that the request names is not for them.
ROUTES_WITH_OWN_FORMATS: dict[str, tuple[str, ...]] = {
    "player-export": ("player_id",),
    "schema": (),
    "docs": (),
    "redoc": (),
}
# To ?page=2, in the schema.
UNKNOWN_PARAMETER = ValidationError({"page": [unknown_parameter("page", [])]})


class ApiRootView(APIView):
    """The addresses of the API. What stands in braces is to be filled in (RFC 6570)."""

    name = "Player sessions"

    @extend_schema(
        operation_id="addresses",
        summary="The addresses of the API",
        tags=["addresses"],
        parameters=COMMON_HEADERS,
        responses={
            200: OpenApiResponse(
                {"type": "object", "additionalProperties": {"type": "string"}},
                description="By name: an absolute address, or one with something in braces to fill in.",
            ),
            **problems(400, 406, 503, invalid=UNKNOWN_PARAMETER),
        },
    )
    def get(self, request: Request) -> Response:
        refuse_other_parameters(request.query_params)
        addresses = {name: link(request, name, in_path=_in_braces(names)) for name, names in ROUTES.items()}
        for name, names in ROUTES_WITH_OWN_FORMATS.items():
            addresses[name] = request.build_absolute_uri(reverse(name, kwargs=_in_braces(names)))
        return Response({name.replace("-", "_"): _with_braces(address) for name, address in addresses.items()})


def _in_braces(names: Iterable[str]) -> dict[str, str]:
    return {name: f"{{{name}}}" for name in names}


def _with_braces(address: str) -> str:
    return address.replace("%7B", "{").replace("%7D", "}")
