"""Links in replies."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.settings import api_settings

FORMAT = str(api_settings.URL_FORMAT_OVERRIDE)


def link(
    request: Request, name: str, *, in_path: Mapping[str, str] | None = None, query: Mapping[str, Any] | None = None
) -> str:
    """Return the absolute address of the route ``name``, with ``in_path`` in its path and a query.

    A ``format`` that the request names is in it as well, so that the link leads to the same format. DRF's ``reverse``
    would append it to the path, before the query.
    """
    address = request.build_absolute_uri(reverse(name, kwargs=dict(in_path or {})))
    form = request.query_params.get(FORMAT)
    asked = {**(query or {}), **({FORMAT: form} if form else {})}
    return f"{address}?{urlencode(sorted(asked.items()))}" if asked else address
