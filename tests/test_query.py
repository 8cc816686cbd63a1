"""A query parameter that nobody knows is refused by name, before anything is cached; legacy addresses ignore it."""

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable

import pytest
import redis
from django.test import RequestFactory
from django.urls import resolve

from caching.memory import QUESTION
from conftest import WebServer
from embedded.redis import RedisServer
from events.counting.background import LEASE
from web.query import MOST_CHARACTERS

STARTS = "/api/v1/reports/starts/"
PLAYER = "/api/v1/reports/players/ada/sessions/"


@pytest.mark.parametrize(
    ("address", "parameter", "near"),
    [
        (f"{STARTS}timeline/?contry=FI", "contry", "country"),
        (f"{STARTS}?hour=3", "hour", "hours"),
        (f"{STARTS}?Hours=3", "Hours", "hours"),
        (f"{STARTS}?country=FI", "country", None),
        (f"{STARTS}?asof=2026-01-01T00:00:00Z", "asof", "as_of"),
        (f"{STARTS}FI/?hours=2&limits=5", "limits", "limit"),
        (f"{STARTS}FI/?sessions=5", "sessions", None),
        (f"{PLAYER}?status=open", "status", "state"),
        (f"{PLAYER}?hours=5", "hours", None),
        (f"{PLAYER}?_=1", "_", None),
        (f"{PLAYER}?{uuid.UUID(int=1)}", str(uuid.UUID(int=1)), None),
        ("/api/v1/?x=1", "x", None),
        (f"{STARTS}?format=csv&hour=3", "hour", "hours"),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_nearest_known_one(api, address, parameter, near):
    reply = api.get(address)
    assert (reply.status_code, reply["Content-Type"]) == (400, "application/problem+json")
    [error] = reply.json()["errors"]
    assert (error["pointer"], error["code"]) == (f"/{parameter}", "unknown_parameter")
    assert (f"Did you mean {near}?" in error["detail"]) is (near is not None)
    assert "format" in error["detail"].rpartition("It knows")[2]


def test_a_batch_is_not_stored_under_an_unknown_parameter(api, player):
    event = {"event": "end", "player_id": player}
    reply = api.post("/api/v1/events/?dry_run=1", event, format="json")
    assert reply.json()["errors"][0]["pointer"] == "/dry_run"
    assert api.get(f"/by-player/{player}").json() == []
    assert api.post("/api/v1/events/?format=json", event, format="json").status_code == 201


@pytest.mark.parametrize("address", [f"{STARTS}?hours=1&hours=2", f"{STARTS}?format=json&format=json"])
def test_a_parameter_may_be_there_once(api, address):
    [error] = api.get(address).json()["errors"]
    assert error["code"] == "repeated"


def test_a_name_is_pointed_at_as_its_rfc_says(api):
    [error] = api.get(f"{STARTS}?a/b~c=1").json()["errors"]
    assert error["pointer"] == "/a~1b~0c"


def test_a_very_long_name_is_not_compared(api):
    def hint(name: str) -> bool:
        return "Did you mean" in api.get(f"{STARTS}?{name}=1").json()["errors"][0]["detail"]

    assert hint("hoursx")
    assert not hint("hours" + "x" * MOST_CHARACTERS)


@pytest.mark.parametrize("query", ["x=1", "hours=3&limit=0", "format=json&x=1", "x=1&x=2", "a&b"])
def test_the_legacy_addresses_ignore_what_they_do_not_know(api, player, query):
    for address in (f"/by-player/{player}", "/by-country/FI/1"):
        assert api.get(f"{address}?{query}").json() == api.get(address).json()
    event = {"event": "end", "player_id": player}
    assert api.post(f"/event-handler?{query}", event, format="json").status_code == 204


def test_the_legacy_addresses_still_know_the_format(api):
    assert api.get("/by-player/ada?x=1&format=nope").status_code == 406
    assert api.get("/by-player/ada?x=1&format=api")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("address", [STARTS, PLAYER, "/by-player/ada", "/api/v1/", "/api/v1/docs/", "/api/v1/schema/"])
def test_more_parameters_than_are_read_are_refused_and_leave_the_log_alone(api, caplog, address, accept):
    reply = api.get(f"{address}?{'&' * 1_001}", headers={"accept": accept})
    assert reply.status_code == 400
    assert "more than 1000 parameters" in reply.content.decode()
    assert caplog.messages == []


def test_unique_nonsense_fills_no_cache(
    redis_of_module: RedisServer, web_server: Callable[..., WebServer], player: str
) -> None:
    address = f"redis://127.0.0.1:{redis_of_module.address[1]}/0"
    web = web_server(REDIS_URL=address, REPORT_CACHE_SECONDS="50", WEB_WORKERS="1")
    client = redis.Redis(port=redis_of_module.address[1])

    def cached() -> int:
        return sum(LEASE.encode() not in key for key in client.scan_iter())

    def status_of(path: str) -> int:
        try:
            with urllib.request.urlopen(web.url + path, timeout=5) as reply:
                json.load(reply)
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    for report in (STARTS, f"{STARTS}FI/", f"{STARTS}timeline/", PLAYER):
        assert [status_of(f"{report}?x={number}") for number in range(3)] == [400] * 3
        assert status_of(f"{report}?limit=1&limit=1") == 400
    assert "cmdstat_del" not in client.info("commandstats")  # not even a lock, which would be released
    assert cached() == 0
    for legacy in (f"/by-player/{player}", "/by-country/FI/1"):
        before = cached()
        assert status_of(legacy) == 200
        once = cached()
        assert once > before
        assert [status_of(f"{legacy}?x={number}") for number in range(5)] == [200] * 5
        assert cached() == once


@pytest.mark.parametrize(
    ("address", "is_cached"),
    [
        ("/by-player/ada", True),
        ("/by-player/ada?format=json", True),
        ("/by-player/ada?x=1", True),
        (PLAYER, True),
        (f"{PLAYER}?x=1", False),
        (f"{PLAYER}?limit=1&limit=1", False),
    ],
)
def test_nor_does_it_fill_the_memory_of_a_process(address, is_cached):
    request = RequestFactory().get(address)
    view, _, captured = resolve(request.path)
    view(request, **captured)
    assert (QUESTION in request.META) is is_cached
    if "x=1" in address and is_cached:
        assert request.META[QUESTION] == "GET http://testserver/by-player/ada application/json"
