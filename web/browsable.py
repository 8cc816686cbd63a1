"""DRF's browsable API with a form that is filled with an example batch."""

from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer


class BatchBrowsableAPIRenderer(BrowsableAPIRenderer):
    """Shows the view's ``example_body`` in the raw form, ready to post."""

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Any) -> Any:
        form = super().get_raw_data_form(data, view, method, request)
        example = getattr(view, "example_body", None)
        if example is not None and form is not None:
            renderer = view.renderer_classes[0]()
            content = renderer.render(example, "application/json; indent=4")
            form.fields["_content"].initial = content.decode()
        return form
