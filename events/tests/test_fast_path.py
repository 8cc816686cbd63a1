"""The fast_path answers as the framework does, takes what is plainly good, and leaves everything else to it."""

import gzip
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

import pytest
from django.core.wsgi import get_wsgi_application
from hypothesis import given, settings
from hypothesis import strategies as st

from caching.memory import MOST_KEY_CHARACTERS
from events.api.fast_path import MOST_NAMES, FastPath
from events.clock import wall_clock_ms
from events.domain import COUNTRY, format_timestamp
from events.tests.test_decoding import events as odd_events
from events.tests.test_decoding import good
from store import cassandra
from web.request_ids import RequestIdFilter

EVENTS = "/api/v1/events/"
REQUEST_ID = "X-Request-ID"
framework = get_wsgi_application()

moments = st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2026, 1, 1))  # noqa: DTZ001  # as clients send
plainly_good = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["start", "end"]),
        "player_id": st.from_regex(r"[A-Za-z0-9_.:@-]{1,64}", fullmatch=True),
        "country": st.from_regex(r"[A-Za-z]{2}", fullmatch=True),
    },
    optional={"session_id": st.uuids().map(str), "ts": moments.map(datetime.isoformat)},
)


class Reply(NamedTuple):
    status: str
    headers: dict[str, str]
    body: bytes


class Counted:
    """The framework, and how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.times += 1
        return framework(environ, start_response)


@pytest.fixture
def whole_way() -> Counted:
    return Counted()


@pytest.fixture
def fast_path(whole_way: Counted, player: str) -> FastPath:
    """One that has seen a batch under ordinary headers."""
    fast_path = FastPath(whole_way)
    learned = ask(fast_path, batch(player))
    assert learned.status == "201 Created", learned.body
    whole_way.times = 0
    return fast_path


@pytest.fixture
def logged(fast_path: FastPath, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged from now on, with the request's id."""
    caplog.set_level(logging.DEBUG, logger="web.request_ids")
    caplog.handler.addFilter(knows_the_request := RequestIdFilter())
    yield caplog
    caplog.handler.removeFilter(knows_the_request)


def batch(player: str, number: int = 2, **fields: object) -> bytes:
    event = {"event": "start", "country": "FI", "player_id": player, **fields}
    return json.dumps([{**event, "session_id": str(uuid.uuid4())} for _ in range(number)]).encode()


def ask(application: Callable[..., Iterable[bytes]], body: bytes, **environ: str) -> Reply:
    """Post a body as a WSGI server does; "" leaves a header out."""
    told: list[Any] = []
    asked = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": EVENTS,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "testserver:8000",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        **environ,
    }
    sent = {name: value for name, value in asked.items() if value != "" or name in ("SCRIPT_NAME", "QUERY_STRING")}
    response = application({**sent, "wsgi.input": BytesIO(body)}, lambda *head: told.extend(head))
    content = b"".join(response)
    getattr(response, "close", lambda: None)()
    return Reply(told[0], dict(told[1]), content)


def rows_of(player: str) -> list[tuple[Any, ...]]:
    return cassandra.execute("SELECT * FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,))


def test_it_works(fast_path: FastPath, whole_way: Counted, player: str) -> None:
    body = batch(player)
    quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
    assert whole_way.times == 0
    assert quick == ask(framework, body, HTTP_X_REQUEST_ID="mine")
    assert json.loads(quick.body)["stored"] == 2
    assert quick.headers[REQUEST_ID] == "mine"
    assert len(rows_of(player)) == 4


def test_each_reply_has_an_id_of_its_own(fast_path: FastPath, player: str) -> None:
    first, second = (ask(fast_path, batch(player)).headers[REQUEST_ID] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_ACCEPT": "application/json"},
        {"CONTENT_TYPE": "application/json; charset=utf-8"},
        {"HTTP_HOST": "testserver"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"wsgi.url_scheme": "https"},
        {"HTTP_USER_AGENT": "a game", "HTTP_COOKIE": "a=b", "HTTP_X_FORWARDED_FOR": "10.1.2.3"},
    ],
)
def test_other_plain_requests_are_taken_the_second_time(
    fast_path: FastPath, whole_way: Counted, player: str, environ: dict[str, str]
) -> None:
    ask(fast_path, batch(player), **environ)
    whole_way.times = 0
    body = batch(player)
    quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine", **environ)
    assert whole_way.times == 0
    assert quick == ask(framework, body, HTTP_X_REQUEST_ID="mine", **environ)


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"REQUEST_METHOD": "PUT"}, 405),
        ({"REQUEST_METHOD": "OPTIONS"}, 200),
        ({"PATH_INFO": "/event-handler"}, 204),
        ({"PATH_INFO": "/api/v1/events"}, 404),
        ({"QUERY_STRING": "format=json"}, 201),
        ({"QUERY_STRING": "format=xml"}, 406),
        ({"HTTP_ACCEPT": "application/json; indent=4"}, 201),
        ({"HTTP_ACCEPT": "text/csv"}, 406),
        ({"HTTP_PREFER": "handling=lenient"}, 201),
        ({"HTTP_CONTENT_ENCODING": "br"}, 415),
        ({"HTTP_EXPECT": "100-continue"}, 201),
        ({"CONTENT_LENGTH": "5000"}, 400),
        ({"CONTENT_LENGTH": "300000"}, 413),
        ({"CONTENT_TYPE": "text/plain"}, 415),
        ({"CONTENT_TYPE": ""}, 415),
        ({"HTTP_HOST": ""}, 201),
        ({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, 201),
        ({"HTTP_HOST": "elsewhere"}, 400),
    ],
)
def test_the_rest_goes_to_the_framework(
    fast_path: FastPath, whole_way: Counted, player: str, environ: dict[str, str], status: int
) -> None:
    """Also the second time."""
    for times in (1, 2):
        body = batch(player)
        reply = ask(fast_path, body, HTTP_X_REQUEST_ID="mine", **environ)
        assert whole_way.times == times
        assert reply == ask(framework, body, HTTP_X_REQUEST_ID="mine", **environ)
        assert reply.status.startswith(str(status))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (batch("nobody", 11), 400),
        (batch("no body"), 400),
        (batch("ä"), 400),
        (batch("somebody", level="a").replace(b'"a"', '"ä"'.encode()), 201),
        (batch("somebody", level="x" * 300_000), 413),
        (batch("somebody").ljust(262_145), 413),
        (b"\xef\xbb\xbf" + batch("somebody"), 201),
    ],
)
def test_a_body_that_is_not_plainly_good_goes_to_the_framework(
    fast_path: FastPath, whole_way: Counted, body: bytes, status: int
) -> None:
    reply = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
    assert whole_way.times == 1
    assert reply == ask(framework, body, HTTP_X_REQUEST_ID="mine")
    assert reply.status.startswith(str(status))


def test_the_browsable_api_goes_to_the_framework(fast_path: FastPath, whole_way: Counted, player: str) -> None:
    for _ in range(2):
        assert ask(fast_path, batch(player), HTTP_ACCEPT="text/html").headers["Content-Type"].startswith("text/html")
    assert whole_way.times == 2


def test_a_gzip_body_goes_to_the_framework(fast_path: FastPath, whole_way: Counted, player: str) -> None:
    for _ in range(2):
        assert ask(fast_path, gzip.compress(batch(player)), HTTP_CONTENT_ENCODING="gzip").status == "201 Created"
    assert whole_way.times == 2


def test_a_refusal_tells_nothing_of_its_headers(whole_way: Counted, player: str) -> None:
    fast_path = FastPath(whole_way)
    assert ask(fast_path, b"[]").status == "400 Bad Request"
    ask(fast_path, batch(player))
    assert whole_way.times == 2
    ask(fast_path, batch(player))
    assert whole_way.times == 2


def test_headers_of_any_number_are_learned(fast_path: FastPath, whole_way: Counted, player: str) -> None:
    """But not all kept."""
    for number in range(MOST_NAMES + 10):
        for _ in range(2):
            ask(fast_path, batch(player, 1), HTTP_X_FORWARDED_PROTO=str(number))
    assert whole_way.times == MOST_NAMES + 10
    assert len(fast_path._headers) <= MOST_NAMES


def test_very_long_headers_are_not_learned(fast_path: FastPath, whole_way: Counted, player: str) -> None:
    for _ in range(2):
        ask(fast_path, batch(player), HTTP_X_FORWARDED_PROTO="x" * MOST_KEY_CHARACTERS)
    assert whole_way.times == 2


def test_a_body_may_have_its_full_length(fast_path: FastPath, whole_way: Counted, player: str) -> None:
    assert ask(fast_path, batch(player).ljust(262_144)).status == "201 Created"
    assert whole_way.times == 0


def test_both_ways_store_the_same(fast_path: FastPath, whole_way: Counted, new_country: Callable[[], str]) -> None:
    """To the second, by which a row's time to live is given."""
    moment = format_timestamp(wall_clock_ms() - 5_000)
    players = [f"both_{uuid.uuid4().hex}" for _ in range(2)]
    country, session = new_country(), str(uuid.uuid4())
    for player, way in zip(players, (fast_path, framework), strict=True):
        event = {"event": "start", "country": country, "player_id": player, "session_id": session, "ts": moment}
        end = {"event": "end", "player_id": player, "session_id": session}
        ask(way, json.dumps([event, end]).encode())
    assert whole_way.times == 0
    query = """
        SELECT session_id, country, started_at, WRITETIME(started_at), TTL(started_at), toUnixTimestamp(ended_at)
        FROM {keyspace}.session_by_player_id WHERE player_id = ?"""
    quick, whole = (cassandra.execute(query, (player,))[0] for player in players)
    assert quick[:4] == whole[:4]
    assert abs(quick[4] - whole[4]) <= 2
    assert abs(quick[5] - wall_clock_ms()) < 5_000 > abs(whole[5] - wall_clock_ms())


def test_both_ways_refuse_alike_when_the_store_is_away(fast_path: FastPath, whole_way: Counted, player: str) -> None:
    cassandra._writes.failed(asked_at=time.monotonic() + 1)  # as if nothing had been answered for long
    try:
        body = batch(player)
        quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
        assert whole_way.times == 0
        assert quick == ask(framework, body, HTTP_X_REQUEST_ID="mine")
        assert quick.status == "503 Service Unavailable"
        assert quick.headers["Retry-After"] == "1"
    finally:
        cassandra._writes.succeeded()


def test_a_mistake_of_ours_goes_to_the_framework(
    fast_path: FastPath, whole_way: Counted, player: str, monkeypatch: pytest.MonkeyPatch, logged
) -> None:
    monkeypatch.setattr("events.api.fast_path.record", None)
    body = batch(player)
    assert ask(fast_path, body, HTTP_X_REQUEST_ID="mine") == ask(framework, body, HTTP_X_REQUEST_ID="mine")
    assert whole_way.times == 1
    [told] = [record for record in logged.records if record.name == "events.api.fast_path"]
    assert (told.levelname, told.request_id) == ("ERROR", "mine")


@pytest.mark.parametrize(("stored", "level"), [(True, "DEBUG"), (False, "WARNING")])
def test_it_is_logged_with_its_id(
    fast_path: FastPath, player: str, logged: pytest.LogCaptureFixture, stored: bool, level: str
) -> None:
    if not stored:
        cassandra._writes.failed(asked_at=time.monotonic() + 1)
    try:
        reply = ask(fast_path, batch(player))
    finally:
        cassandra._writes.succeeded()
    [record] = [record for record in logged.records if record.name == "web.request_ids"]
    assert record.getMessage().startswith(f"POST {EVENTS} {201 if stored else 503} in ")
    assert (record.levelname, record.request_id) == (level, reply.headers[REQUEST_ID])  # type: ignore[attr-defined]


plain = st.sampled_from(["*/*", "application/json"])
accepted = plain | st.sampled_from(["application/*", "text/csv", ""])
preferred = st.sampled_from(["handling=lenient", "handling=strict"])


@settings(max_examples=400, deadline=None)
@given(st.lists(good | odd_events, max_size=11) | good | odd_events, accepted, st.just("") | preferred, st.booleans())
def test_both_ways_answer_alike(sent: Any, accept: str, prefer: str, ascii_only: bool) -> None:
    """The whole reply, whatever is sent."""
    check(FastPath(framework), sent, ascii_only=ascii_only, HTTP_ACCEPT=accept, HTTP_PREFER=prefer)


@settings(max_examples=200, deadline=None)
@given(st.lists(plainly_good, min_size=1, max_size=10), plain)
def test_both_ways_answer_alike_to_what_is_plainly_good(sent: Any, accept: str) -> None:
    whole_way = Counted()
    check(FastPath(whole_way), sent, HTTP_ACCEPT=accept)
    assert whole_way.times == 1  # to learn


def check(fast_path: FastPath, sent: Any, *, ascii_only: bool = True, **asked: str) -> None:
    for event in sent if isinstance(sent, list) else [sent]:
        if event.get("session_id") is None:  # each way would make one
            event["session_id"] = str(uuid.uuid4())
        if COUNTRY.match(str(event.get("country"))):
            event["country"] = "fi"  # other tests count the starts of other countries
    body = json.dumps(sent, ensure_ascii=ascii_only).encode(errors="replace")
    ask(fast_path, batch("somebody"), **asked)
    assert ask(fast_path, body, HTTP_X_REQUEST_ID="mine", **asked) == ask(
        framework, body, HTTP_X_REQUEST_ID="mine", **asked
    )
