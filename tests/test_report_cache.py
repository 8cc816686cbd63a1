"""Reports are cached for 50 s in a real Redis; Redis down, stalled, full of garbage: nobody notices.

What a process has sent it sends again by itself: a question that shall reach Redis is a new one, or another process's.
"""

import itertools
import json
import os
import pickle
import signal
import time
import urllib.request
import uuid
from collections.abc import Iterator

import msgspec
import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_page

from conftest import WebServer
from embedded.redis import READY_SECONDS, RedisServer
from events.counting.background import LEASE
from events.domain import Event
from events.services import record_events
from sessions_project import __version__

SHORT = 0.5
# MessagePack as ours, but of nothing that we store: of another shape, with an impossible status, with a forged header.
NO_REPLIES = [
    msgspec.msgpack.encode(one)
    for one in (
        {"status": "200 OK"},
        {"status": "no number", "headers": [], "body": b""},
        {"status": "200 OK", "headers": [("X", "a\r\nSet-Cookie: b")], "body": b""},
        True,
        ["not", 1],
    )
]


def service(server: RedisServer) -> WebServer:
    address = f"redis://127.0.0.1:{server.address[1]}/0"
    return WebServer(REDIS_URL=address, REPORT_CACHE_SECONDS="50", WEB_WORKERS="1")


@pytest.fixture(scope="module")
def web(redis_of_module: RedisServer) -> Iterator[WebServer]:
    server = service(redis_of_module)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def other_process(redis_of_module: RedisServer) -> Iterator[WebServer]:
    """It shares the Redis, and has been asked nothing that a test asks it."""
    server = service(redis_of_module)
    yield server
    server.stop()


@pytest.fixture
def web_to_break(own_redis: RedisServer) -> Iterator[WebServer]:
    """It has the Redis that the test breaks."""
    server = service(own_redis)
    yield server
    server.stop()


@pytest.fixture
def unmeasured_web(unmeasured_redis: RedisServer) -> Iterator[WebServer]:
    """Likewise, where others may run beside the test."""
    server = service(unmeasured_redis)
    yield server
    server.stop()


def stored_in(server: RedisServer) -> set[bytes]:
    """The keys of replies and of the locks of those that are being made."""
    with redis.Redis(port=server.address[1]) as client:
        return {key for key in client.scan_iter() if LEASE.encode() not in key}


def starts(web: WebServer, country: str, query: str = "hours=1", *, host: str = "") -> tuple[int, float, str | None]:
    began = time.monotonic()
    url = f"{web.url}/api/v1/reports/starts/{country}/?{query}"
    question = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(question, timeout=5) as reply:
        number = json.load(reply)["starts"]
        return number, time.monotonic() - began, reply.headers["Cache-Control"]


def record_start(country: str, now_ms: int) -> None:
    record_events([Event("start", "cached", uuid.uuid4(), now_ms, country)], now_ms=now_ms)


def test_a_report_is_cached_by_its_question(web, country, now_ms):
    record_start(country, now_ms)
    assert starts(web, country)[0] == 1
    record_start(country, now_ms)
    number, _, cache_control = starts(web, country)
    assert (number, cache_control) == (1, "max-age=50")
    assert starts(web, country, "hours=2")[0] == 2  # another question


def test_an_error_is_not_cached(web, redis_of_module):
    before = stored_in(redis_of_module)
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError):
            starts(web, "FI", "hours=0")
    assert stored_in(redis_of_module) - before == set()


def test_without_redis_only_the_cache_is_missing(web_to_break, own_redis, country, now_ms):
    record_start(country, now_ms)
    starts(web_to_break, country, "hours=100")  # a new process prepares its statements first
    own_redis.stop()
    for expected in (1, 2, 3):
        number, seconds, _ = starts(web_to_break, country, f"hours={expected}")
        assert number == expected
        assert seconds < SHORT
        record_start(country, now_ms)


def test_redis_that_comes_back_is_used_again(web_to_break, own_redis, country):
    own_redis.stop()
    starts(web_to_break, country)
    own_redis.start()
    own_redis.wait_until_ready(seconds=READY_SECONDS)
    time.sleep(2.1)
    starts(web_to_break, country, "hours=2")
    assert redis.Redis(port=own_redis.address[1]).dbsize() > 0


def test_redis_paused_costs_a_blink_and_then_nothing(web_to_break, own_redis, country, now_ms):
    record_start(country, now_ms)
    starts(web_to_break, country, "hours=100")  # a new process prepares its statements first
    os.kill(own_redis.process().pid, signal.SIGSTOP)
    try:
        took = [starts(web_to_break, country, f"hours={hours}") for hours in range(1, 6)]
    finally:
        os.kill(own_redis.process().pid, signal.SIGCONT)
    assert {number for number, _, _ in took} == {1}
    assert took[0][1] < SHORT
    assert max(seconds for _, seconds, _ in took[1:]) < 0.1


def test_what_one_process_has_built_the_others_find(web, other_process, country, now_ms):
    record_start(country, now_ms)
    host = web.url.removeprefix("http://")
    assert starts(web, country)[0] == 1
    record_start(country, now_ms)
    assert starts(other_process, country, host=host)[0] == 1


@pytest.mark.parametrize("spellings", [("", "?limit=020"), ("?state=completed", "")])
def test_a_player_asked_for_plainly_or_in_other_words_is_stored_once(
    web: WebServer, other_process: WebServer, player: str, now_ms: int, spellings: tuple[str, str]
) -> None:
    """The fast path shares what the framework caches."""
    record_end(player, now_ms)
    first, other = (f"/api/v1/reports/players/{player}/sessions/{query}" for query in spellings)
    host = web.url.removeprefix("http://")
    before = body_of(web, first, host=host)
    assert len(json.loads(before)["results"]) == 1
    record_end(player, now_ms)
    assert body_of(web, other, host=host) == before
    assert body_of(other_process, other, host=host) == before


def record_end(player: str, now_ms: int) -> None:
    record_events([Event("end", player, uuid.uuid4(), now_ms, None)], now_ms=now_ms)


def body_of(web: WebServer, path: str, *, host: str) -> bytes:
    return urllib.request.urlopen(urllib.request.Request(web.url + path, headers={"Host": host}), timeout=5).read()


def test_a_service_on_another_keyspace_has_a_cache_of_its_own(web, redis_of_module, web_server, country, now_ms):
    record_start(country, now_ms)
    assert starts(web, country)[0] == 1
    elsewhere = web_server(
        REDIS_URL=f"redis://127.0.0.1:{redis_of_module.address[1]}/0",
        CASSANDRA_KEYSPACE="no_such_keyspace",
        WEB_WORKERS="1",
    )
    with pytest.raises(urllib.error.HTTPError, match="500"):
        starts(elsewhere, country, host=web.url.removeprefix("http://"))


def test_garbage_in_redis_is_a_miss(web, other_process, redis_of_module, country, now_ms):
    record_start(country, now_ms)
    client = redis.Redis(port=redis_of_module.address[1])
    rubbish = [b"\x80garbage", pickle.dumps({"not": "a response"}), b"123", *NO_REPLIES]
    cases = [(kind, garbage) for kind in (b"", b".cache_page.") for garbage in rubbish]
    for hours, (kind, garbage) in enumerate(cases, 1):
        before = stored_in(redis_of_module)
        starts(web, country, f"hours={hours}")
        spoiled = [key for key in stored_in(redis_of_module) - before if kind in key]
        assert spoiled
        for key in spoiled:
            client.set(key, garbage)
    for hours in range(1, len(cases) + 1):
        assert starts(other_process, country, f"hours={hours}", host=web.url.removeprefix("http://"))[0] == 1


def test_spellings_of_one_question_are_stored_once(web, redis_of_module, country, now_ms):
    record_start(country, now_ms)
    assert starts(web, country, "hours=3&limit=5")[0] == 1
    before = stored_in(redis_of_module)
    record_start(country, now_ms)
    for query in ("limit=5&hours=3", "hours=03&limit=5", "hours=3&limit=%205"):
        assert starts(web, country, query)[0] == 1
    assert starts(web, country.lower(), "hours=3&limit=5")[0] == 1
    assert stored_in(redis_of_module) - before == set()


def test_a_report_takes_one_entry_and_one_question_of_redis(web, other_process, redis_of_module, country, now_ms):
    record_start(country, now_ms)
    before = stored_in(redis_of_module)
    starts(web, country, "hours=77")
    assert len(stored_in(redis_of_module) - before) == 1
    client = redis.Redis(port=redis_of_module.address[1])
    with client.monitor() as monitor:
        starts(other_process, country, "hours=77", host=web.url.removeprefix("http://"))
        client.echo("end")
        commands = list(
            itertools.takewhile(lambda one: one != "ECHO end", (one["command"] for one in monitor.listen()))
        )
    assert [one.split()[0] for one in commands if ".cache_" in one] == ["GET"]


def test_a_view_that_depends_on_another_header_cannot_be_cached(rf):
    @cache_page(50)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("", headers={"Vary": "Accept, Cookie"})

    with pytest.raises(ImproperlyConfigured, match="HTTP_COOKIE"):
        view(rf.get("/"))


def test_what_is_stored_is_data_of_this_release(web, other_process, redis_of_module, country, now_ms):
    """Not code; and what another release has stored is not read."""
    record_start(country, now_ms)
    before = stored_in(redis_of_module)
    assert starts(web, country)[0] == 1
    client = redis.Redis(port=redis_of_module.address[1])
    keys = stored_in(redis_of_module) - before
    pages = [key for key in keys if b".cache_page." in key]
    assert [key.split(b":")[1] for key in pages] == [__version__.encode()]
    reply = msgspec.msgpack.decode(client.get(pages[0]))
    assert (reply["status"], json.loads(reply["body"])["starts"]) == ("200 OK", 1)
    for key in keys:
        client.rename(key, key.replace(__version__.encode(), b"0.9.0"))
    record_start(country, now_ms)
    assert starts(other_process, country, host=web.url.removeprefix("http://"))[0] == 2


def test_a_wrong_password_is_a_cache_that_is_not_there(unmeasured_web, unmeasured_redis, country, now_ms):
    record_start(country, now_ms)
    redis.Redis(port=unmeasured_redis.address[1]).config_set("requirepass", "secret")
    redis.Redis(port=unmeasured_redis.address[1], password="secret").client_kill_filter(_type="normal", skipme=True)
    assert starts(unmeasured_web, country)[0] == 1


def test_readiness_tells_of_redis_but_does_not_need_it(unmeasured_web, unmeasured_redis):
    unmeasured_redis.stop()
    with urllib.request.urlopen(f"{unmeasured_web.url}/readyz", timeout=5) as reply:
        assert json.load(reply)["checks"] == {"cassandra": "ok", "redis": "unavailable: reports are not cached"}
