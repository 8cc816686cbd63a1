"""What a report is asked, in one spelling, so that no cache holds an answer twice.

``hours=024`` is ``hours=24``, a parameter that is left out has its default, their order means nothing, and ``*/*`` is
answered as ``application/json`` is. An ``as_of`` stays, to the millisecond: the answer names it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from rest_framework.exceptions import NotAcceptable, ValidationError
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request

from reports.serializers import PathSerializer, Shape, parameters_of, spelled
from web.links import FORMAT
from web.query import is_well_named


class Question:
    """How a view is asked: with which ``parameters``, of which None are known to a legacy endpoint."""

    def __init__(self, view: Any, *, parameters: type[Shape] | None) -> None:
        self._negotiation = view.cls.content_negotiation_class()
        self._renderers = [renderer() for renderer in view.cls.renderer_classes]
        self._parameters = parameters

    def respell(self, request: HttpRequest, places: Mapping[str, str]) -> str | None:
        """Spell a request as all do that are answered alike, and return the format of the answer.

        None, and nothing is changed: the view refuses it, but for an ``as_of`` in the future.
        """
        try:
            renderer, media_type = self._negotiation.select_renderer(Request(request), self._renderers)
            query, path = self._query(request), self._path(request, places)
        except (NotAcceptable, ValidationError):
            return None
        if renderer.format != BrowsableAPIRenderer.format:  # its page shows the address as it was asked
            request.META["QUERY_STRING"], request.path = query, path
            del request.GET  # made of the query when asked for
        # A wish, such as indent=4, makes another answer.
        request.META["HTTP_ACCEPT"] = media_type if "indent" in media_type else renderer.media_type
        return str(renderer.format)

    def _query(self, request: HttpRequest) -> str:
        asked: dict[str, Any] = {}
        if self._parameters:
            if not is_well_named(request.GET, known=parameters_of(self._parameters)):
                raise ValidationError
            asked = spelled(self._parameters, request.GET)
        form = request.GET.get(FORMAT)
        return urlencode(sorted(asked.items() if form is None else (asked | {FORMAT: form}).items()))

    def _path(self, request: HttpRequest, places: Mapping[str, str]) -> str:
        asked = spelled(PathSerializer, places)
        if asked == places or request.resolver_match is None:
            return request.path
        return reverse(request.resolver_match.view_name, kwargs=asked)
