"""DRF's browsable API: forms that are ready to post and keep what was typed, links to the next page, a language."""

import re
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request

# Shown instead of a 405 on a page that only has a form.
FORM_ALONE = {"detail": "Nothing is listed here. Send events with the form below."}
# DRF's page has no language, and a second main part inside its main part.
LANGUAGE, MAIN_INSIDE_MAIN = ("<html>", '<html lang="en">'), re.compile(r'(class="content-main") role="main"\s')


class BatchBrowsableAPIRenderer(BrowsableAPIRenderer):
    """Shows the view's ``example_body`` in the raw form, ready to post; after a post, what was posted.

    An address that only takes a POST is a page with a form; a program gets 405. The template is the project's.
    """

    template = "browsable.html"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        if _is_there_for_its_form(renderer_context):
            renderer_context["response"].status_code = HTTPStatus.OK
            data = FORM_ALONE
        page = super().render(data, accepted_media_type, renderer_context)
        return MAIN_INSIDE_MAIN.sub(r"\1 ", page.replace(*LANGUAGE, 1), count=1)

    def get_context(self, data: Any, accepted_media_type: str | None, renderer_context: Any) -> dict[str, Any]:
        context = super().get_context(data, accepted_media_type, renderer_context)
        return {**context, "next_page": data.get("next") if isinstance(data, Mapping) else None}

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Any) -> Any:
        form = super().get_raw_data_form(data, view, method, request)
        example = getattr(view, "example_body", None)
        if example is not None and form is not None:
            renderer = view.renderer_classes[0]()
            content = renderer.render(example, "application/json; indent=4")
            form.fields["_content"].initial = _posted(request) or content.decode()
        return form


def _is_there_for_its_form(context: Mapping[str, Any]) -> bool:
    is_refused = context["response"].status_code == HTTPStatus.METHOD_NOT_ALLOWED
    return is_refused and context["request"].method in ("GET", "HEAD") and "POST" in context["view"].allowed_methods


def _posted(request: Request) -> str:
    """Return the body of a post, as far as it could be read."""
    body: Any = None
    if request.method == "POST":
        with suppress(APIException):
            body = request.data
    return body.decode(errors="replace") if isinstance(body, bytes) else ""
