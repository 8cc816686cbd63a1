"""Swagger UI and Redoc: the bundles of drf-spectacular in pages of ours, which ask nothing of the internet.

Redoc shows a logo from elsewhere, and a service that is on the internet would have Swagger UI ask a validator. The
policy lets a browser ask this service alone.
"""

from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.views import APIView

# Both put styles into their pages; Redoc searches in a worker that it makes of its own text.
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
    """A page that may ask this service alone."""

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, **HEADERS}


class SwaggerPage(SelfContainedPage, SpectacularSwaggerSplitView):
    """Every operation, to be tried; its script is a file of its own, which the policy lets run."""

    template_name = "swagger.html"


class RedocPage(SelfContainedPage, SpectacularRedocView):
    """The reference."""

    template_name = "redoc.html"
