"""The page without its numbers: the browser asks the API for them. So it costs nothing and is there without a store."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard import scripts

# Hours to look back, as people say them. An hour, a day, a week and a month are what one compares.
WINDOWS = ((1, "1 h"), (24, "24 h"), (168, "7 d"), (720, "30 d"))
DEFAULT_HOURS = 24
# With the cache switched off (REPORT_CACHE_SECONDS=0) an open page must not ask without pause.
FASTEST_REFRESH_SECONDS = 5
FOREVER_SECONDS = 365 * 24 * 60 * 60

# Nothing inline and nothing from elsewhere. Trusted types: no script can turn text into HTML, so no player's name can
# become markup. Only this page has the policy; Swagger UI, Redoc and the browsable API have scripts inside their HTML.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
# Beside those that Django's SecurityMiddleware gives every reply (no sniffing, no referrer, an opener policy).
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Return the dashboard, for whatever the request accepts."""
    frame = {
        "windows": WINDOWS,
        "default_hours": DEFAULT_HOURS,
        "needs_key": settings.AUTH == "keys",
        "script": f"{reverse('page-script')}?{scripts.version()}",
        "refresh_seconds": max(settings.REPORT_CACHE_SECONDS, FASTEST_REFRESH_SECONDS),
    }
    return HttpResponse(render_to_string("dashboard/page.html", frame), headers=SECURITY_HEADERS)


@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """Return the page's modules; the page asks with their version, so that a browser may keep them for ever."""
    is_asked = request.META["QUERY_STRING"] == scripts.version()
    lifetime = f"max-age={FOREVER_SECONDS}, public, immutable" if is_asked else "no-cache"
    return HttpResponse(scripts.collected(), content_type="text/javascript", headers={"Cache-Control": lifetime})


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead to the icon: a reply that is shown without our pages around it, such as JSON, names none."""
    return redirect(static("dashboard/favicon.ico"))
