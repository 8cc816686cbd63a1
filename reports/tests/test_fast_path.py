"""The last sessions of a player: the fast path answers as the full stack does, and takes what is asked plainly."""

import json
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from events.clock import wall_clock_ms
from events.domain import MINUTE_MS, Event
from events.services import record_events
from events.tests.test_fast_path import Counted, Reply, ask, full_stack, heads
from reports.fast_path import players
from reports.serializers import DEFAULT_SESSIONS
from store import cassandra
from store.errors import StatementRejected
from web.fast_path import FastPath

REPORT = "/api/v1/reports/players/{}/sessions/"


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def fast_path(counted: Counted) -> FastPath:
    return FastPath(counted, kinds=[players()])


@pytest.fixture(autouse=True)
def _same_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor tells the second in which it was made."""
    monkeypatch.setattr("django.core.signing.TimestampSigner.timestamp", lambda _: "1x2y3z")


def play(player: str, *, sessions: int) -> None:
    now_ms = wall_clock_ms()
    for number in range(sessions):
        session, ended_ms = uuid.uuid4(), now_ms - number * MINUTE_MS
        start = Event("start", player, session, ended_ms - MINUTE_MS, "FI")
        record_events([start, Event("end", player, session, ended_ms, None)], now_ms=now_ms)


def ask_for(application: Callable[..., Iterable[bytes]], player: str, **environ: str) -> Reply:
    """Without its moment of expiry."""
    plain = {"REQUEST_METHOD": "GET", "PATH_INFO": REPORT.format(player), "CONTENT_TYPE": "", "CONTENT_LENGTH": ""}
    reply = ask(application, b"", HTTP_X_REQUEST_ID="mine", **{**plain, **environ})
    reply.headers.pop("Expires", None)
    return reply


@pytest.mark.parametrize("sessions", [0, 1, DEFAULT_SESSIONS, DEFAULT_SESSIONS + 1])
@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
def test_a_plain_question_is_answered_as_by_the_full_stack(
    fast_path: FastPath, counted: Counted, player: str, sessions: int, accept: str
) -> None:
    play(player, sessions=sessions)
    quick = ask_for(fast_path, player, HTTP_ACCEPT=accept)
    assert counted.times == 0
    assert quick == ask_for(full_stack, player, HTTP_ACCEPT=accept)
    assert quick.status == "200 OK"
    report = json.loads(quick.body)
    assert len(report["results"]) == min(sessions, DEFAULT_SESSIONS)
    assert (report["next"] is None) is (sessions <= DEFAULT_SESSIONS)


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"QUERY_STRING": "state=open"}, 200),
        ({"QUERY_STRING": "limit=0"}, 400),
        ({"QUERY_STRING": "format=json"}, 200),
        ({"HTTP_ACCEPT": "text/html"}, 200),
        ({"HTTP_ACCEPT": "application/json; indent=2"}, 200),
        ({"HTTP_ACCEPT": "text/csv"}, 406),
        ({"HTTP_HOST": "elsewhere"}, 400),
        ({"REQUEST_METHOD": "HEAD"}, 200),
        ({"REQUEST_METHOD": "OPTIONS"}, 200),
        ({"REQUEST_METHOD": "DELETE"}, 405),
        ({"PATH_INFO": REPORT.format("nobody\n")}, 400),
        ({"PATH_INFO": REPORT.format("no/body")}, 404),
        ({"PATH_INFO": REPORT.format("no body")}, 400),
        ({"PATH_INFO": REPORT.format("x" * 65)}, 400),
        ({"PATH_INFO": REPORT.format("")}, 404),
        ({"PATH_INFO": "/api/v1/reports/players/sessions/"}, 404),
        ({"PATH_INFO": "/api/v1/reports/players/nobody/sessions"}, 301),
    ],
)
def test_every_other_question_goes_to_the_full_stack(
    fast_path: FastPath, counted: Counted, player: str, environ: dict[str, str], status: int
) -> None:
    assert int(ask_for(fast_path, player, **environ).status[:3]) == status
    assert counted.times == 1


def test_a_refused_store_and_an_unexpected_error_are_answered_alike(
    fast_path: FastPath, counted: Counted, player: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cassandra._reads.failed(asked_at=time.monotonic() + 1)
    try:
        quick, full = ask_for(fast_path, player), ask_for(full_stack, player)
    finally:
        cassandra._reads.succeeded()
    assert quick == full
    assert (quick.status, quick.headers["Retry-After"]) == ("503 Service Unavailable", "1")

    def fail(*_: object, **__: object) -> None:
        raise StatementRejected("no such column")

    monkeypatch.setattr("reports.player_sessions.player_sessions", fail)
    assert (quick := ask_for(fast_path, player)) == ask_for(full_stack, player)
    assert quick.status == "500 Internal Server Error"
    assert counted.times == 0


ids = st.from_regex(r"[A-Za-z0-9_.:@-]{1,64}", fullmatch=True) | st.text(
    st.characters(codec="latin-1", exclude_characters="/"), min_size=1, max_size=66
)
queries = st.sampled_from(["", "state=completed", "limit=3", "limit=x", "nothing", "format=json", "cursor=a", "%ff"])
accepted = st.sampled_from(["*/*", "application/json", "application/*", "text/csv", ""])
plain = FastPath(full_stack, kinds=[players()])


@hypothesis_settings(max_examples=200, deadline=None)
@given(ids, queries, accepted, st.just({}) | heads, st.sampled_from(["GET", "GET", "HEAD", "POST"]))
def test_both_ways_answer_alike(player: str, query: str, accept: str, head: dict[str, str], method: str) -> None:
    asked: dict[str, Any] = {**head, "QUERY_STRING": query, "HTTP_ACCEPT": accept, "REQUEST_METHOD": method}
    assert ask_for(plain, player, **asked) == ask_for(full_stack, player, **asked)
