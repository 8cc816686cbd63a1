"""The security headers of Django's middleware, for replies that are made without it."""

from functools import lru_cache
from typing import Any

from django.conf import settings

from web.request_head import RequestHead
from web.wsgi_types import Headers


def security_headers(environ: dict[str, Any]) -> Headers:
    """Return the headers of SecurityMiddleware and XFrameOptionsMiddleware."""
    return _headers(settings.SECURE_HSTS_SECONDS if RequestHead(environ).is_secure() else 0)


@lru_cache
def _headers(hsts_seconds: int) -> Headers:
    hsts = [("Strict-Transport-Security", f"max-age={hsts_seconds}")] if hsts_seconds else []
    return [
        *hsts,
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", settings.SECURE_REFERRER_POLICY),
        ("Cross-Origin-Opener-Policy", settings.SECURE_CROSS_ORIGIN_OPENER_POLICY),
    ]
