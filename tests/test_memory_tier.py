"""What a process has sent it sends again while it is fresh; nothing else, nothing longer, nothing without bound."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.utils.http import http_date

from caching import memory
from caching.memory import QUESTION, MemoryTier

LIFETIME = 50


class Reply(list[bytes]):
    """Of an application; Django's can be closed, and tells whether it is made while it is sent."""

    streaming = False

    def close(self) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    """The paths that reached the application."""
    return []


@pytest.fixture
def replies(asked: list[str]) -> MemoryTier:
    """Before an application that tells how often it was asked, and names the question by the path."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked.append(environ["PATH_INFO"])
        seconds = {"/brief": 1, "/past": 0}.get(environ["PATH_INFO"].rstrip("0123456789"), LIFETIME)
        headers = [("X-Request-ID", "of-the-first"), ("Age", "12")]
        if "error" not in environ["PATH_INFO"]:
            headers.append(("Expires", http_date(time.time() + seconds)))
        if "new_entries" not in environ["PATH_INFO"]:
            environ[QUESTION] = question_of(environ)
        start_response("200 OK", headers)
        reply = Reply([b"%d" % len(asked), b"x" * 100])
        reply.streaming = "stream" in environ["PATH_INFO"]
        return reply

    return MemoryTier(application, lifetime_seconds=LIFETIME)


def question_of(environ: dict[str, Any]) -> str:
    """Written in capitals it is the same."""
    return repr(
        [environ.get(name) for name in sorted({*COMMON, *HEADERS}) if name != "PATH_INFO"]
        + [environ["PATH_INFO"].lower()]
    )


HEADERS = {"HTTP_ACCEPT", "HTTP_X_FORWARDED_PROTO"}
COMMON = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_HOST": "here", "QUERY_STRING": ""}


def ask(replies: MemoryTier, path: str, **environ: str) -> tuple[bytes, dict[str, str]]:
    replied: dict[str, str] = {}
    body = replies({**COMMON, "PATH_INFO": path, **environ}, lambda status, headers: replied.update(headers))
    return b"".join(body).rstrip(b"x"), replied


def test_a_reply_is_sent_again_from_memory_with_the_id_of_the_new_request(replies: MemoryTier) -> None:
    assert ask(replies, "/report")[0] == b"1"
    body, headers = ask(replies, "/report", HTTP_X_REQUEST_ID="mine")
    assert (body, headers["X-Request-ID"]) == (b"1", "mine")
    assert 0 <= int(headers["Age"]) <= 2
    assert ask(replies, "/report")[1]["X-Request-ID"] not in ("of-the-first", "mine")


def test_its_age_is_told_once(replies: MemoryTier) -> None:
    """The application's own, of a report that was in Redis for a while, is of the moment when it came."""
    replied: list[list[tuple[str, str]]] = []
    for _ in range(2):
        list(replies({**COMMON, "PATH_INFO": "/report"}, lambda status, headers: replied.append(headers)))
    assert [value for name, value in replied[0] if name == "Age"] == ["12"]
    assert [int(value) <= 2 for name, value in replied[1] if name == "Age"] == [True]


@pytest.mark.parametrize(
    "other",
    [
        {"QUERY_STRING": "hours=1"},
        {"HTTP_ACCEPT": "text/csv"},
        {"HTTP_HOST": "there"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"wsgi.url_scheme": "https"},
        {"REQUEST_METHOD": "HEAD"},
    ],
)
def test_another_question_has_another_reply(replies: MemoryTier, other: dict[str, str]) -> None:
    assert ask(replies, "/report")[0] == b"1"
    assert ask(replies, "/report", **other)[0] == b"2"


def test_spellings_of_one_question_share_an_entry(replies: MemoryTier, asked: list[str]) -> None:
    assert ask(replies, "/report")[0] == b"1"
    assert ask(replies, "/REPORT")[0] == b"2"  # so that its spelling is known
    assert [ask(replies, path)[0] for path in ("/report", "/REPORT")] == [b"2", b"2"]
    assert len(replies._entries) == 1


def test_spellings_are_bounded(replies: MemoryTier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_SPELLINGS", 5)
    for number in range(20):
        ask(replies, f"/{number}")
        assert ask(replies, f"/{number}")[0] == b"%d" % (number + 1)
    assert len(replies._questions) <= 5


@pytest.mark.parametrize("path", ["/new_entries", "/error", "/stream", "/long" * 200])
def test_what_is_not_to_be_kept_is_asked_for_again(replies: MemoryTier, path: str) -> None:
    assert [ask(replies, path)[0] for _ in range(2)] == [b"1", b"2"]


def test_it_ends_when_it_expires(replies: MemoryTier) -> None:
    began = time.monotonic()
    while ask(replies, "/brief")[0] == b"1":
        assert time.monotonic() - began < 1.5
        time.sleep(0.01)


def test_the_oldest_make_room(replies: MemoryTier, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_BYTES", 1_000)
    monkeypatch.setattr(memory, "BYTES_BESIDE_BODY", 0)
    for number in range(20):
        ask(replies, f"/{number}")
    asked.clear()
    for number in reversed(range(20)):
        ask(replies, f"/{number}")
    assert 8 <= 20 - len(asked) <= 10
    assert "/19" not in asked
    assert sum(len(entry.reply.body) for entry in replies._entries.values()) == replies._bytes <= 1_000


def test_what_has_expired_is_not_held(replies: MemoryTier) -> None:
    for number in range(5):
        ask(replies, f"/brief{number}")
    time.sleep(1.1)
    ask(replies, "/another")
    assert ["/another" in question for question in replies._entries] == [True]


def test_what_expires_at_once_is_sent_and_not_held(replies: MemoryTier) -> None:
    assert [ask(replies, "/past")[0] for _ in range(2)] == [b"1", b"2"]
    assert not replies._entries


def test_a_large_one_drives_out_no_others(replies: MemoryTier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LARGEST_BYTES", 50)
    assert [ask(replies, "/report")[0] for _ in range(2)] == [b"1", b"2"]
