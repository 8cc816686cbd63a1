"""The fast path answers as the full stack does, takes what is well-formed, and leaves everything else to it."""

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
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from access.authorization import Authorization
from access.key_set import KeySet
from access.keys import NEVER, READ, WRITE, new_key, stored_form
from access.limits import Limits
from events.api.fast_path import batches
from events.clock import wall_clock_ms
from events.domain import COUNTRY, format_timestamp
from events.tests.test_decoding import events as odd_events
from events.tests.test_decoding import good
from sessions_project.scopes import scope_needed
from store import cassandra
from store.errors import StatementRejected
from web.fast_path import FastPath
from web.request_ids import RequestIdFilter

EVENTS = "/api/v1/events/"
REQUEST_ID = "X-Request-ID"
full_stack = WSGIHandler()

moments = st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2026, 1, 1))  # noqa: DTZ001  # as clients send
well_formed = st.fixed_dictionaries(
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


class Counted(WSGIHandler):
    """The full stack, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.times += 1
        return super().__call__(environ, start_response)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def fast_path(counted: Counted) -> FastPath:
    return FastPath(counted, kinds=[batches()])


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


def ask(
    application: Callable[..., Iterable[bytes]], body: bytes, *, stream: BytesIO | None = None, **environ: str
) -> Reply:
    """Post a body as a WSGI server does; "" leaves a header out."""
    replied: list[Any] = []
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
    response = application({**sent, "wsgi.input": stream or BytesIO(body)}, lambda *head: replied.extend(head))
    content = b"".join(response)
    getattr(response, "close", lambda: None)()
    return Reply(replied[0], dict(replied[1]), content)


def rows_of(player: str) -> list[tuple[Any, ...]]:
    return cassandra.execute("SELECT * FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,))


def test_an_ordinary_batch_is_stored_and_answered_as_the_full_stack_does(
    fast_path: FastPath, counted: Counted, player: str
) -> None:
    body = batch(player)
    quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
    assert counted.times == 0
    assert quick == ask(full_stack, body, HTTP_X_REQUEST_ID="mine")
    assert json.loads(quick.body)["stored"] == 2
    assert quick.headers[REQUEST_ID] == "mine"
    assert len(rows_of(player)) == 2


def test_each_reply_has_an_id_of_its_own(fast_path: FastPath, player: str) -> None:
    first, second = (ask(fast_path, batch(player)).headers[REQUEST_ID] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_ACCEPT": "application/json"},
        {"HTTP_HOST": "testserver"},
        {"HTTP_HOST": "TESTSERVER.:80"},
        {"HTTP_HOST": "", "SERVER_NAME": "testserver"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"wsgi.url_scheme": "https"},
        {"HTTP_USER_AGENT": "a game", "HTTP_COOKIE": "a=b", "HTTP_X_FORWARDED_FOR": "10.1.2.3"},
        {"HTTP_X_FORWARDED_HOST": "elsewhere"},
    ],
)
def test_the_first_well_formed_request_is_taken(
    fast_path: FastPath, counted: Counted, player: str, environ: dict[str, str]
) -> None:
    body = batch(player)
    quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine", **environ)
    assert counted.times == 0
    assert quick == ask(full_stack, body, HTTP_X_REQUEST_ID="mine", **environ)
    assert quick.status == "201 Created"


@pytest.mark.parametrize(
    ("content_type", "is_taken"),
    [
        ("application/json; charset=utf-8", True),
        ("application/json;charset=UTF-8", True),
        ("application/json; charset=latin-1", True),
        ("application/json; version=1; charset=utf-8", True),
        ("APPLICATION/JSON", True),
        (" application/json ", True),
        ("application/*", True),
        ("*/*", True),
        ("application/problem+json", False),
        ("text/json", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("json", False),
        (";", False),
        ("application/json, text/plain", False),
    ],
)
def test_a_content_type_is_json_where_the_full_stack_says_so(
    fast_path: FastPath, counted: Counted, player: str, content_type: str, is_taken: bool
) -> None:
    body = batch(player)
    quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine", CONTENT_TYPE=content_type)
    assert counted.times == (not is_taken)
    assert quick == ask(full_stack, body, HTTP_X_REQUEST_ID="mine", CONTENT_TYPE=content_type)
    assert quick.status == ("201 Created" if is_taken else "415 Unsupported Media Type")


@pytest.mark.parametrize(
    ("allowed", "host", "is_taken"),
    [
        (["testserver"], "testserver:8000", True),
        (["testserver"], "elsewhere", False),
        (["testserver"], "a.testserver", False),
        ([".example.com"], "example.com", True),
        ([".example.com"], "eu.Example.com:443", True),
        ([".example.com"], "example.com.", True),
        ([".example.com"], "badexample.com", False),
        (["*.example.com"], "eu.example.com", False),
        (["*"], "whatever", True),
        (["*"], "bad_host/", False),
        (["*"], "a b", False),
        (["[::1]"], "[::1]:8000", True),
        (["127.0.0.1", ".example.com"], "127.0.0.1:99999", True),
        ([], "testserver", False),
    ],
)
def test_a_host_is_ours_where_the_full_stack_says_so(
    settings, fast_path: FastPath, counted: Counted, player: str, allowed: list[str], host: str, is_taken: bool
) -> None:
    settings.ALLOWED_HOSTS = allowed
    body = batch(player)
    quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine", HTTP_HOST=host)
    assert counted.times == (not is_taken)
    assert quick == ask(full_stack, body, HTTP_X_REQUEST_ID="mine", HTTP_HOST=host)
    assert quick.status == ("201 Created" if is_taken else "400 Bad Request")


@pytest.mark.parametrize("behind_proxy", [True, False])
@pytest.mark.parametrize("forwarded", ["", "https", "http", " https, http", "garbage"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_scheme_is_what_the_full_stack_takes_it_for(
    settings, player: str, behind_proxy: bool, forwarded: str, scheme: str
) -> None:
    """It decides on Strict-Transport-Security, which only a reply over TLS carries."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None
    settings.SECURE_HSTS_SECONDS = 3_600
    counted, body = Counted(), batch(player)
    asked = {"HTTP_X_REQUEST_ID": "mine", "wsgi.url_scheme": scheme, "HTTP_X_FORWARDED_PROTO": forwarded}
    quick = ask(FastPath(counted, kinds=[batches()]), body, **asked)
    assert counted.times == 0
    assert quick == ask(counted, body, **asked)
    is_secure = "https" in forwarded.split(",")[0] if behind_proxy and forwarded else scheme == "https"
    assert ("Strict-Transport-Security" in quick.headers) is is_secure


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
        ({"CONTENT_LENGTH": "9" * 12}, 413),
        ({"CONTENT_TYPE": "text/plain"}, 415),
        ({"CONTENT_TYPE": ""}, 415),
        ({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, 201),
        ({"HTTP_HOST": "elsewhere"}, 400),
    ],
)
def test_the_rest_goes_to_the_full_stack(
    fast_path: FastPath, counted: Counted, player: str, environ: dict[str, str], status: int
) -> None:
    body = batch(player)
    reply = ask(fast_path, body, HTTP_X_REQUEST_ID="mine", **environ)
    assert counted.times == 1
    assert reply == ask(full_stack, body, HTTP_X_REQUEST_ID="mine", **environ)
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
def test_a_body_that_is_not_well_formed_goes_to_the_full_stack(
    fast_path: FastPath, counted: Counted, body: bytes, status: int
) -> None:
    reply = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
    assert counted.times == 1
    assert reply == ask(full_stack, body, HTTP_X_REQUEST_ID="mine")
    assert reply.status.startswith(str(status))


def test_a_body_that_is_announced_too_large_is_not_waited_for(fast_path: FastPath, counted: Counted) -> None:
    class Silent(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("the client has not sent it yet")

    reply = ask(fast_path, b"", stream=Silent(), CONTENT_LENGTH="262145")
    assert (counted.times, reply.status) == (1, "413 Request Entity Too Large")


def test_the_browsable_api_goes_to_the_full_stack(fast_path: FastPath, counted: Counted, player: str) -> None:
    assert ask(fast_path, batch(player), HTTP_ACCEPT="text/html").headers["Content-Type"].startswith("text/html")
    assert counted.times == 1


def test_a_gzip_body_goes_to_the_full_stack(fast_path: FastPath, counted: Counted, player: str) -> None:
    assert ask(fast_path, gzip.compress(batch(player)), HTTP_CONTENT_ENCODING="gzip").status == "201 Created"
    assert counted.times == 1


def test_nothing_depends_on_earlier_requests(fast_path: FastPath, counted: Counted, player: str) -> None:
    body = batch(player)
    first = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
    ask(fast_path, b"[]", HTTP_X_REQUEST_ID="another", HTTP_HOST="elsewhere")
    ask(fast_path, b"[]")
    assert ask(fast_path, body, HTTP_X_REQUEST_ID="mine") == first
    assert counted.times == 2


@pytest.mark.parametrize("scope", [WRITE, READ, None])
@pytest.mark.parametrize("form", ["Bearer {}", "bearer  {}", "Basic {}", "{}", ""])
def test_both_ways_answer_alike_to_every_kind_of_key(
    fast_path: FastPath, counted: Counted, player: str, scope: str | None, form: str
) -> None:
    text = new_key([scope or WRITE])
    expires_ms = NEVER if scope else 1_000
    key = stored_form(text, scopes=[scope or WRITE], name="game", created_ms=0, expires_ms=expires_ms)
    keys = KeySet(lambda: [key])
    keys.refresh()
    limits = Limits(default_rate=0, dry_run=False, exchange=lambda _: None)
    quick, full = (
        Authorization(one, keys=keys, limits=limits, scope_needed=scope_needed) for one in (fast_path, full_stack)
    )
    sent, body = form.format(text), batch(player)
    reply = ask(quick, body, HTTP_AUTHORIZATION=sent, HTTP_X_REQUEST_ID="mine")
    assert reply == ask(full, body, HTTP_AUTHORIZATION=sent, HTTP_X_REQUEST_ID="mine")
    is_right = form.lower().startswith("bearer")
    assert int(reply.status[:3]) == (401 if not (is_right and scope) else 201 if scope == WRITE else 403)
    assert counted.times == 0
    assert len(rows_of(player)) == (2 if reply.status == "201 Created" else 0)


def test_a_body_may_have_its_full_length(fast_path: FastPath, counted: Counted, player: str) -> None:
    assert ask(fast_path, batch(player).ljust(262_144)).status == "201 Created"
    assert counted.times == 0


def test_both_ways_store_the_same(fast_path: FastPath, counted: Counted, new_country: Callable[[], str]) -> None:
    """To the second, by which a row's time to live is given."""
    moment = format_timestamp(wall_clock_ms() - 5_000)
    players = [f"both_{uuid.uuid4().hex}" for _ in range(2)]
    country, session = new_country(), str(uuid.uuid4())
    for player, way in zip(players, (fast_path, full_stack), strict=True):
        event = {"event": "start", "country": country, "player_id": player, "session_id": session, "ts": moment}
        end = {"event": "end", "player_id": player, "session_id": session}
        ask(way, json.dumps([event, end]).encode())
    assert counted.times == 0
    query = """
        SELECT session_id, country, started_at, WRITETIME(started_at), TTL(started_at), toUnixTimestamp(ended_at)
        FROM {keyspace}.session_by_player_id WHERE player_id = ?"""
    quick, whole = (cassandra.execute(query, (player,))[0] for player in players)
    assert quick[:4] == whole[:4]
    assert abs(quick[4] - whole[4]) <= 2
    assert abs(quick[5] - wall_clock_ms()) < 5_000 > abs(whole[5] - wall_clock_ms())


def test_both_ways_refuse_alike_without_a_store(fast_path: FastPath, counted: Counted, player: str) -> None:
    cassandra._writes.failed(asked_at=time.monotonic() + 1)  # as if nothing had been answered for long
    try:
        body = batch(player)
        quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
        assert counted.times == 0
        assert quick == ask(full_stack, body, HTTP_X_REQUEST_ID="mine")
        assert quick.status == "503 Service Unavailable"
        assert quick.headers["Retry-After"] == "1"
    finally:
        cassandra._writes.succeeded()


@pytest.mark.parametrize("error", [StatementRejected("no such column"), ZeroDivisionError("ours")])
@pytest.mark.parametrize("place", ["events.api.views.record_events", "events.decoding.FastDecoder.events"])
def test_an_unexpected_error_is_answered_as_by_the_full_stack(
    fast_path: FastPath, counted: Counted, player: str, monkeypatch: pytest.MonkeyPatch, logged, place: str, error
) -> None:
    """Once, under the request's id, with its traceback; and the request is not run again."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(place, fail)
    body = batch(player)
    quick = ask(fast_path, body, HTTP_X_REQUEST_ID="mine")
    assert counted.times == 0
    mistakes = [record for record in logged.records if record.name == "web.problems"]
    assert [(one.levelname, one.request_id, one.exc_info[1]) for one in mistakes] == [("ERROR", "mine", error)]
    replies = [record for record in logged.records if record.name == "web.request_ids"]
    assert [(one.levelname, one.request_id) for one in replies] == [("WARNING", "mine")]
    assert quick == ask(full_stack, body, HTTP_X_REQUEST_ID="mine")
    assert quick.status == "500 Internal Server Error"
    assert json.loads(quick.body)["type"] == "urn:player-sessions:problem:internal-error"


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


hosts = st.sampled_from(["testserver", "testserver:8000", "TestServer.", "127.0.0.1:1", "elsewhere", "a.testserver"])
content_types = st.sampled_from(
    ["application/json", "application/json; charset=utf-8", "application/json;charset=latin-1", "text/plain", "*/*"]
)
heads = st.fixed_dictionaries(
    {"HTTP_HOST": hosts, "CONTENT_TYPE": content_types},
    optional={
        "HTTP_X_FORWARDED_PROTO": st.sampled_from(["https", "http", "garbage"]),
        "wsgi.url_scheme": st.sampled_from(["https", "http"]),
    },
)
fast_path_of_full_stack = FastPath(full_stack, kinds=[batches()])


@hypothesis_settings(max_examples=400, deadline=None)
@given(
    st.lists(good | odd_events, max_size=11) | good | odd_events,
    accepted,
    st.just("") | preferred,
    st.booleans(),
    st.just({}) | heads,
)
def test_both_ways_answer_alike(sent: Any, accept: str, prefer: str, ascii_only: bool, head: dict[str, str]) -> None:
    """The whole reply, whatever is sent."""
    check(fast_path_of_full_stack, sent, ascii_only=ascii_only, HTTP_ACCEPT=accept, HTTP_PREFER=prefer, **head)


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.lists(well_formed, min_size=1, max_size=10), plain)
def test_both_ways_answer_alike_to_what_is_well_formed(sent: Any, accept: str) -> None:
    counted = Counted()
    check(FastPath(counted, kinds=[batches()]), sent, HTTP_ACCEPT=accept)
    assert counted.times == 0


def check(fast_path: FastPath, sent: Any, *, ascii_only: bool = True, **asked: str) -> None:
    for event in sent if isinstance(sent, list) else [sent]:
        if event.get("session_id") is None:  # each way would make one
            event["session_id"] = str(uuid.uuid4())
        if COUNTRY.match(str(event.get("country"))):
            event["country"] = "fi"  # other tests count the starts of other countries
    body = json.dumps(sent, ensure_ascii=ascii_only).encode(errors="replace")
    assert ask(fast_path, body, HTTP_X_REQUEST_ID="mine", **asked) == ask(
        full_stack, body, HTTP_X_REQUEST_ID="mine", **asked
    )
