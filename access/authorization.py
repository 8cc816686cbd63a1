"""The stage that lets a request in: by its key, what the key may do, and how much it has sent."""

import base64
import binascii
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from access.key_set import KeySet
from access.keys import Key, is_whole
from access.limits import BURST_SECONDS, EVENTS_BROUGHT, Bucket, Limits
from web.measuring import Measuring
from web.problems import RETRY_AFTER_SECONDS, refuse
from web.wsgi_types import Application, Headers, answer_of

log = logging.getLogger(__name__)

# In the environment of a request that was let in: what is stored of its key. The key itself is taken out.
KEY = "player_sessions.key"
# What an address needs, when it is not a scope: nothing at all, or some key whatever it may do.
OPEN, ANY_KEY = "open", "any key"
BEARER = "Bearer "
SAFE_METHODS = ("GET", "HEAD")
# Proxies and browsers keep no copy for others. What this service stores is for all who may read.
PRIVATE: Headers = [("Cache-Control", "private"), ("Vary", "Authorization")]
NO_STORE = ("Cache-Control", "no-store")
REALM = 'realm="player-sessions"'

# Returns the scope that a method needs at a path, OPEN or ANY_KEY.
ScopeNeeded = Callable[[str, str], str]


class Refusal(NamedTuple):
    """Why a request is not let in. ``headers`` go with it."""

    status: HTTPStatus
    code: str
    detail: str
    headers: Headers


class Authorization:
    """A WSGI application: ``application``, for those who have a key and may do what they ask for.

    A key comes as ``Authorization: Bearer``. A browser that asks for a page may send it as the password of Basic: not
    to write, because it sends that by itself, for pages of others as well.
    """

    def __init__(self, application: Application, *, keys: KeySet, limits: Limits, scope_needed: ScopeNeeded) -> None:
        self._application = application
        self._keys, self._limits = keys, limits
        self._scope_needed = scope_needed

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        needed = self._scope_needed(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        sent = environ.pop("HTTP_AUTHORIZATION", "")
        if needed is OPEN:
            return self._application(environ, start_response)
        text = sent[len(BEARER) :] if sent.startswith(BEARER) else _key_text(sent, environ)
        key = self._keys.valid(text)
        if key is None or (needed not in key.scopes and needed is not ANY_KEY):
            return _refuse(environ, start_response, self._reason(key, text, environ, needed=needed))
        environ[KEY] = key
        application = self._application
        if environ["REQUEST_METHOD"] == "POST":
            bucket, wait = self._limits.admit(key)
            if wait and bucket:
                return _refuse(environ, start_response, _rate_limited(bucket, wait))
            if bucket:
                application = partial(self._charged, bucket=bucket)

        def start_private(status: str, headers: Headers, *error: Any) -> Any:
            return start_response(status, [*headers, *PRIVATE], *error)

        return application(environ, start_private)

    def _charged(
        self, environ: dict[str, Any], start_response: Callable[..., Any], *, bucket: Bucket
    ) -> Iterable[bytes]:
        """Answer, and charge what the request has brought.

        What the service could not do costs nothing: the sender is told to send the same again.
        """
        head, reply = answer_of(self._application, environ)
        if not head[0].startswith("5"):
            self._limits.charge(bucket, environ.get(EVENTS_BROUGHT, 1))
        start_response(*head)
        return reply

    def _reason(self, key: Key | None, text: str, environ: Mapping[str, Any], *, needed: str) -> Refusal:
        """Return why a request is not let in; nothing is said of a key to whoever has not the whole of it."""
        challenge = _challenges(environ, error=bool(text))
        if self._keys.is_too_old:
            detail = "Keys cannot be checked at the moment. Nothing was done; send the same request again."
            wait = ("Retry-After", str(RETRY_AFTER_SECONDS))
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "keys_unavailable", detail, [wait])
        if not text:
            detail = "This address needs a key. Ask its operator for one. Send it as 'Authorization: Bearer pss_...'."
            return Refusal(HTTPStatus.UNAUTHORIZED, "key_required", detail, challenge)
        if key is None:
            return Refusal(HTTPStatus.UNAUTHORIZED, "key_invalid", self._what_is_wrong_with(text), challenge)
        detail = f"This key may not do that: it does not have the scope {needed}. Send one that has it."
        return Refusal(HTTPStatus.FORBIDDEN, "scope_missing", detail, [])

    def _what_is_wrong_with(self, text: str) -> str:
        if self._keys.find(text):
            return "This key has expired or was revoked. Ask its operator for another one."
        return "There is no such key." if is_whole(text) else "This is not a whole key: copy it once more."


def _key_text(sent: str, environ: Mapping[str, Any]) -> str:
    """Return the key that an Authorization names in another spelling of Bearer, or as a password; "": none."""
    scheme, _, credentials = sent.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic" or environ["REQUEST_METHOD"] not in SAFE_METHODS:
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _challenges(environ: Mapping[str, Any], *, error: bool) -> Headers:
    """Return how a key can be sent. Only a browser that goes to a page is to bring up its own prompt for a password."""
    bearer = f'Bearer {REALM}, error="invalid_token"' if error else f"Bearer {REALM}"
    goes_to_a_page = environ["REQUEST_METHOD"] in SAFE_METHODS and "text/html" in environ.get("HTTP_ACCEPT", "")
    basic = [("WWW-Authenticate", f'Basic {REALM}, charset="UTF-8"')] if goes_to_a_page else []
    return [("WWW-Authenticate", bearer), *basic]


def _rate_limited(bucket: Bucket, wait: float) -> Refusal:
    """Return 429 with the headers of draft-ietf-httpapi-ratelimit-headers."""
    seconds = str(math.ceil(wait))
    detail = f"This key may send {bucket.rate} events a second. Nothing was stored; send the same request again later."
    headers = [
        ("Retry-After", seconds),
        ("RateLimit-Policy", f'"events";q={bucket.size};w={BURST_SECONDS}'),
        ("RateLimit", f'"events";r=0;t={seconds}'),
    ]
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", detail, headers)


def _refuse(environ: dict[str, Any], start_response: Callable[..., Any], reason: Refusal) -> Iterable[bytes]:
    """Answer, and count that: what is refused here comes to no stage that counts."""
    return Measuring(partial(_refusal, reason=reason))(environ, start_response)


def _refusal(environ: dict[str, Any], start_response: Callable[..., Any], *, reason: Refusal) -> Iterable[bytes]:
    return refuse(
        environ,
        start_response,
        status=reason.status,
        code=reason.code,
        detail=reason.detail,
        headers=[NO_STORE, *reason.headers],
    )
