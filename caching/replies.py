"""The one form in which replies are cached, in Redis and in memory: status, headers and body. Data, never code."""

from typing import Any

import msgspec
from django.http import HttpResponse
from django_redis.serializers.base import BaseSerializer

from web.wsgi_types import Headers


class Reply(msgspec.Struct, frozen=True):
    """A whole reply. ``status`` is that of WSGI, such as ``200 OK``."""

    status: str
    headers: Headers
    body: bytes

    @classmethod
    def of(cls, response: HttpResponse) -> "Reply":
        """Take what a rendered response says."""
        return cls(f"{response.status_code} {response.reason_phrase}", list(response.items()), response.content)

    def response(self) -> HttpResponse:
        """Make a response of it, which the caller may change."""
        return HttpResponse(self.body, status=int(self.status.partition(" ")[0]), headers=dict(self.headers))


# What cache_page stores is a response; what we store is a flag.
_decode = msgspec.msgpack.Decoder(Reply | bool).decode
_encode = msgspec.msgpack.Encoder().encode


class ReplySerializer(BaseSerializer):
    """django-redis's SERIALIZER: responses as ``Reply``, in MessagePack."""

    def dumps(self, value: Any) -> bytes:
        return _encode(Reply.of(value) if isinstance(value, HttpResponse) else value)

    def loads(self, value: bytes) -> Any:
        """Return what was stored; None, which is "not there", for whatever else stands in Redis."""
        try:
            found = _decode(value)
            return found.response() if isinstance(found, Reply) else found
        except ValueError:
            return None
