"""Swagger UI and Redoc: the bundles of drf-spectacular in pages of ours, which load nothing from the internet.

Redoc loads a logo from elsewhere, and Swagger UI asks a validator on the internet. The policy lets a browser load from
this service only.
"""

from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.views import APIView

# Both add styles to their pages; Redoc starts its search in a worker from a blob.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Frame-Options": "DENY"}


class SelfContainedPage(APIView):
    """A page that may load from this service only."""

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, **HEADERS}


class SwaggerPage(SelfContainedPage, SpectacularSwaggerSplitView):
    """Every operation, to try it; its script is a separate file, which the policy allows."""

    template_name = "swagger.html"


class RedocPage(SelfContainedPage, SpectacularRedocView):
    """The reference."""

    template_name = "redoc.html"
