"""What a key is: how it is written, what is stored of it, and what it allows.

A key has 256 random bits. So there is nothing to guess, and one SHA-256 is as safe as a slow hash of a password.
"""

import math
import re
import secrets
import zlib
from collections.abc import Collection
from hashlib import sha256
from hmac import compare_digest
from typing import Any, NamedTuple

WRITE, READ, ERASE = SCOPES = "events:write", "reports:read", "players:erase"
# pss_<kind>_<id>_<secret>_<checksum>: programs that look for secrets in source code know it by that. The checksum tells
# them that it is one, without asking us.
FORM = re.compile(r"pss_[wra]_([0-9a-f]{12})_[A-Za-z0-9_-]{43}_[0-9a-f]{8}\Z")
ID = slice(6, 18)
LENGTH = 71
ID_BYTES, SECRET_BYTES = 6, 32
# The second part of a key tells whoever finds it what it is for: to write, to read, or more.
KINDS = {frozenset({WRITE}): "w", frozenset({READ}): "r"}
NEVER = math.inf


class Key(NamedTuple):
    """What is stored of a key.

    It is refused from ``expires_ms`` on: milliseconds since 1970, or NEVER. Likewise ``revoked_ms``, when an operator
    has revoked it.
    """

    key_id: str
    digest: bytes
    scopes: frozenset[str]
    name: str
    created_ms: float
    expires_ms: float = NEVER
    revoked_ms: float = NEVER
    events_per_second: int | None = None  # None: as many as the settings say

    def is_over(self, now_ms: float) -> bool:
        """Return whether the key is refused at a moment. One that was revoked is, whatever a clock shows."""
        return self.is_revoked or now_ms >= self.expires_ms

    @property
    def is_revoked(self) -> bool:
        """Whether an operator has revoked it."""
        return self.revoked_ms != NEVER

    def is_of(self, text: str) -> bool:
        """Return whether this is what is stored of the key ``text``, in a time that does not depend on the answer."""
        return compare_digest(digest_of(text), self.digest)


def new_key(scopes: Collection[str]) -> str:
    """Return a new key for these scopes, which nobody else has.

    >>> import re
    >>> bool(re.fullmatch("pss_r_[0-9a-f]{12}_.{43}_[0-9a-f]{8}", new_key(["reports:read"])))
    True
    """
    kind = KINDS.get(frozenset(scopes), "a")
    text = f"pss_{kind}_{secrets.token_hex(ID_BYTES)}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return f"{text}_{checksum(text)}"


def stored_form(text: str, *, scopes: Collection[str], name: str, created_ms: float, **more: Any) -> Key:
    """Return what is stored of the key ``text``; ``more`` are fields of Key that it has beside these."""
    return Key(text[ID], digest_of(text), frozenset(scopes), name, created_ms, **more)


def digest_of(text: str) -> bytes:
    """Return by what a key is known again."""
    return sha256(text.encode()).digest()


def checksum(text: str) -> str:
    """Return the last part of a key by those before it."""
    return f"{zlib.crc32(text.encode()):08x}"


def is_whole(text: str) -> bool:
    """Return whether a text is a key as it was given out: not cut off, and without a wrong letter.

    >>> is_whole("pss_r_0123456789ab_" + 43 * "x" + "_00000000")
    False
    """
    return FORM.match(text) is not None and text[-8:] == checksum(text[:-9])
