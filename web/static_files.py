"""Static files under names that can be cached for ever, compressed, each sent in one piece.

The name of a file begins with a hash of all static files: ``/static/<hash>/dashboard/main.js``. So files refer to each
other by relative names of the same release, and nothing has to be collected or rewritten.
"""

import gzip
import re
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from web.compression import ENCODING, LEAST_BYTES, accepts_gzip

# Swagger UI has a file of 1.4 MB. In smaller pieces, a slow client would hold a thread.
BYTES_AT_A_TIME = 4_000_000
HASH_BYTES = 8
TEXT = re.compile(r"text/|image/svg|application/(javascript|json)")


class HashedStorage(StaticFilesStorage):
    """What ``{% static %}`` asks: the address of a file, by its hashed name."""

    def url(self, name: str | None) -> str:
        return super().url(f"{hash_of_all()}/{name}")


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise, with our hashed names and with compression when a file is first asked for."""

    FOREVER = 365 * 24 * 60 * 60

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        file = self.files.get(request.path_info) or self.files.get(self._plain_name(request.path_info))
        return self.serve(file, request) if file else self.get_response(request)

    def _plain_name(self, path: str) -> str:
        """Return the path without the hash of another release, as its page asks for during a roll-out."""
        return re.sub(rf"^({self.static_prefix})[0-9a-f]{{{2 * HASH_BYTES}}}/", r"\1", path)

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        super().add_file_to_dictionary(url, path, stat_cache)
        hashed = url.replace(self.static_prefix, f"{self.static_prefix}{hash_of_all()}/", 1)
        super().add_file_to_dictionary(hashed, path, stat_cache)

    def immutable_file_test(self, path: str, url: str) -> bool:
        return url.startswith(f"{self.static_prefix}{hash_of_all()}/")

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponseBase:
        """Return the reply with the file."""
        response = WhiteNoiseMiddleware.serve(static_file, request)
        response.block_size = BYTES_AT_A_TIME
        if response.status_code == 304:
            patch_vary_headers(response, [ENCODING])
        if response.status_code != 200 or not _is_worth_it(response):
            return response
        patch_vary_headers(response, [ENCODING])
        is_plain = "HTTP_RANGE" in request.META or not accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))
        return response if is_plain else _compressed(response, static_file.alternatives[-1][1])


@cache
def hash_of_all() -> str:
    """Return a hash of the names and contents of all static files: the same in every process of a release."""
    digest = blake2b(digest_size=HASH_BYTES)
    for finder in get_finders():
        for name, storage in sorted(finder.list(None), key=lambda one: one[0]):
            digest.update(f"{name}\0".encode() + Path(storage.path(name)).read_bytes())
    return digest.hexdigest()


def _is_worth_it(response: HttpResponseBase) -> bool:
    return bool(TEXT.match(response["Content-Type"])) and int(response["Content-Length"]) >= LEAST_BYTES


def _compressed(response: HttpResponseBase, path: str) -> HttpResponse:
    response.close()
    headers = dict(response.items()) | {"Content-Encoding": "gzip", "ETag": f"W/{response['ETag']}"}
    body = _gzip_of_file(path)
    return HttpResponse(body, headers=headers | {"Content-Length": str(len(body))})


@cache
def _gzip_of_file(path: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), mtime=0)
