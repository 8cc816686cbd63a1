"""Static files, each in one piece of the reply: a client that takes it slowly holds no thread."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

# Swagger UI has one of 1.4 MB.
BYTES_AT_A_TIME = 4_000_000


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise, which sends pieces of 4 KiB."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponseBase:
        """Return the reply with the file."""
        response = WhiteNoiseMiddleware.serve(static_file, request)
        response.block_size = BYTES_AT_A_TIME
        return response
