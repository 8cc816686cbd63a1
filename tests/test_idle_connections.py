"""A connection without a request stays open for as long as the setting says."""

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from conftest import WebServer

SETTINGS = [2, 4]


@pytest.fixture(scope="module")
def seconds_open() -> Iterator[dict[int, float]]:
    """For each setting, how long a connection stays open after a request that came just in time: all wait at once."""
    with ExitStack() as started, ThreadPoolExecutor() as pool:
        services = []
        for seconds in SETTINGS:
            services.append(WebServer(KEEP_ALIVE_SECONDS=str(seconds), WEB_WORKERS="1"))
            started.callback(services[-1].stop)
        yield dict(zip(SETTINGS, pool.map(_seconds_open, services, SETTINGS), strict=True))


def _seconds_open(web: WebServer, setting: int) -> float:
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=20)) as connection:
        for pause in (0, setting - 1):
            time.sleep(pause)
            connection.request("GET", "/livez")
            connection.getresponse().read()
        began, socket = time.monotonic(), connection.sock
        assert socket.recv(1) == b""
        return time.monotonic() - began


@pytest.mark.alone
@pytest.mark.parametrize("setting", SETTINGS)
def test_an_idle_connection_stays_open_for_the_seconds_of_the_setting(
    seconds_open: dict[int, float], setting: int
) -> None:
    assert seconds_open[setting] > setting - 0.5
