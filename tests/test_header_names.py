"""Names with underscores are not those with dashes, as far as the service can tell them apart."""

import http.client
import json
import uuid
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from conftest import WebServer
from events.domain import Event
from events.services import record_events

EVENTS = "/api/v1/events/"


@pytest.fixture
def web(shared_web: WebServer) -> WebServer:
    return shared_web


def post(web: WebServer, player: str, **headers: str) -> int:
    body = json.dumps([{"event": "end", "player_id": player}]).encode()
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=20)) as connection:
        chunked = "Transfer-Encoding" in headers
        connection.request("POST", EVENTS, iter([body]) if chunked else body, headers, encode_chunked=chunked)
        return connection.getresponse().status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 201),
        ({"Content-Type": "application/json", "Content_Type": "text/plain"}, 201),
        ({"Content-Type": "text/plain", "Content_Type": "application/json"}, 415),
        ({"Content_Type": "application/json"}, 415),
        ({"Content-Type": "application/json; x*=bogus''a"}, 201),
        ({"Content-Type": "text/plain; x*=bogus''a"}, 415),
    ],
)
def test_a_name_with_underscores_does_not_choose_the_type_of_a_body(
    web: WebServer, player: str, headers: dict[str, str], status: int
) -> None:
    assert post(web, player, **headers) == status


@pytest.mark.parametrize(
    ("path", "status"),
    [("/static/nothing", 404), ("/nothing", 404), ("/api/v1/reports/starts/", 200), ("/by-country/US/0", 400)],
)
@pytest.mark.parametrize("accept", ["text/html;x*=bogus'en'%41", "*/*;q=0.1, application/json; x* =utf-9''%41"])
def test_an_accept_that_cannot_be_decoded_makes_no_other_error(
    web: WebServer, path: str, status: int, accept: str
) -> None:
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=20)) as connection:
        connection.request("GET", path, headers={"Accept": accept})
        reply = connection.getresponse()
        assert (reply.status, reply.headers["X-Request-ID"] is not None) == (status, True)


@pytest.mark.parametrize("length", ["3", "1000000", "-1", "many"])
@pytest.mark.parametrize("transfer", [{}, {"Transfer-Encoding": "chunked"}])
def test_a_name_with_underscores_does_not_choose_the_length_of_a_body(
    web: WebServer, player: str, transfer: dict[str, str], length: str
) -> None:
    assert post(web, player, **{"Content-Type": "application/json", "Content_Length": length, **transfer}) == 201


@pytest.mark.parametrize("name", ["X_Forwarded_Proto", "X-Forwarded_Proto"])
def test_a_name_with_underscores_does_not_choose_the_scheme_of_links(
    web: WebServer, country: str, now_ms: int, name: str
) -> None:
    """Behind a proxy it is the proxy that must not pass these names on."""
    for number in range(2):
        record_events([Event("start", "p", uuid.uuid4(), now_ms - number, country)], now_ms=now_ms)
    with closing(http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=20)) as connection:
        connection.request("GET", f"/api/v1/reports/starts/{country}/?limit=1", headers={name: "https"})
        assert json.load(connection.getresponse())["next"].startswith("http://")
