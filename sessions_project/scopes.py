"""Which addresses need which scope of a key."""

from django.conf import settings
from django.urls import reverse

from access.authorization import ANY_KEY, OPEN, SAFE_METHODS
from access.keys import ERASE, READ, WRITE
from sessions_project.health import PROBES

# The page is empty until its reader has signed in; probes have no key.
OPEN_PATHS = {*PROBES, *(reverse(name) for name in ("page", "page-script", "favicon"))}
OPEN_BELOW = f"/{settings.STATIC_URL.lstrip('/')}"
# Every key may read the documentation of the service.
ABOUT_ITSELF = {reverse(name) for name in ("api-root", "schema", "docs", "redoc")}
OF_A_PLAYER = "/api/v1/players/"


def scope_needed(method: str, path: str) -> str:
    """Return the scope that a request needs, OPEN or ANY_KEY, also for an address that does not exist."""
    if path in OPEN_PATHS or path.startswith(OPEN_BELOW):
        return OPEN
    if path.startswith(OF_A_PLAYER):
        return ERASE
    if path in ABOUT_ITSELF or method == "OPTIONS":
        return ANY_KEY
    return READ if method in SAFE_METHODS else WRITE
