"""What Django's middleware says to browsers with every reply, for the replies that are made without it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings

from web.wsgi_types import Headers


def security_headers(environ: Mapping[str, Any]) -> Headers:
    """Return the headers of SecurityMiddleware and XFrameOptionsMiddleware."""
    return _headers(settings.SECURE_HSTS_SECONDS if _is_secure(environ) else 0)


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


def _is_secure(environ: Mapping[str, Any]) -> bool:
    """Return whether a request came over TLS, as Django decides it."""
    header, value = settings.SECURE_PROXY_SSL_HEADER or (None, None)
    forwarded = environ.get(header) if header else None
    return (forwarded.partition(",")[0].strip() == value) if forwarded else environ["wsgi.url_scheme"] == "https"
