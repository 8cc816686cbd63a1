"""``/api/v1/``: the addresses that there are."""

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from web.links import link
from web.openapi import COMMON_HEADERS, problems
from web.query import refuse_other_parameters, unknown_parameter

# Names of routes, and what is to be filled in.
ROUTES: dict[str, tuple[str, ...]] = {
    "events": (),
    "starts": (),
    "starts-of-country": ("country",),
    "starts-timeline": (),
    "measures": (),
    "player-sessions": ("player_id",),
    "player": ("player_id",),
}
DOCUMENTATION = ("schema", "docs", "redoc")
# To ?page=2, in the schema.
UNKNOWN_PARAMETER = ValidationError({"page": [unknown_parameter("page", [])]})


class ApiRootView(APIView):
    """The addresses of the API. What stands in braces is to be filled in (RFC 6570)."""

    name = "Player sessions"

    @extend_schema(
        operation_id="addresses",
        summary="The addresses that there are",
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
        addresses = {name: _template(request, name, names) for name, names in ROUTES.items()}
        # Pages, which have forms of their own: a format that the request names is not for them.
        pages = {name: request.build_absolute_uri(reverse(name)) for name in DOCUMENTATION}
        return Response({name.replace("-", "_"): address for name, address in (addresses | pages).items()})


def _template(request: Request, name: str, path_names: tuple[str, ...]) -> str:
    address = link(request, name, in_path={one: f"{{{one}}}" for one in path_names})
    return address.replace("%7B", "{").replace("%7D", "}")
