"""A connection without a request stays open for as long as the setting says."""

import http.client
import time
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from conftest import WebServer


@pytest.mark.alone
@pytest.mark.parametrize("seconds", [2, 4])
def test_an_idle_connection_stays_open_for_the_seconds_of_the_setting(
    web_server: Callable[..., WebServer], seconds: int
) -> None:
    web = web_server(KEEP_ALIVE_SECONDS=str(seconds), WEB_WORKERS="1")
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=20)) as connection:
        for pause in (0, seconds - 1):
            time.sleep(pause)
            connection.request("GET", "/livez")
            connection.getresponse().read()
        began, socket = time.monotonic(), connection.sock
        assert socket.recv(1) == b""
        assert time.monotonic() - began > seconds - 0.5
