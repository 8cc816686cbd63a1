"""What Django's middleware says to browsers with every reply, for the replies that are made without it."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from web.wsgi_types import Headers


def security_headers(environ: Mapping[str, Any]) -> Headers:
    """Return the headers of SecurityMiddleware and XFrameOptionsMiddleware."""
    headers = [
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", settings.SECURE_REFERRER_POLICY),
        ("Cross-Origin-Opener-Policy", settings.SECURE_CROSS_ORIGIN_OPENER_POLICY),
    ]
    if settings.SECURE_HSTS_SECONDS and _is_secure(environ):
        headers.append(("Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}"))
    return headers


def _is_secure(environ: Mapping[str, Any]) -> bool:
    header, value = settings.SECURE_PROXY_SSL_HEADER or (None, None)
    forwarded = environ.get(header) if header else None
    return (forwarded.partition(",")[0].strip() == value) if forwarded else environ["wsgi.url_scheme"] == "https"
