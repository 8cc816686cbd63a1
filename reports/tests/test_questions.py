"""Every way to ask for one answer is one question, for all caches; and what is answered is what was asked."""

import re
import uuid
from collections.abc import Callable

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import resolve
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from caching.memory import QUESTION
from events.domain import Event, format_timestamp
from events.services import record_events

STARTS = "/api/v1/reports/starts/"
PLAYER = "/api/v1/reports/players/ada/sessions/"
AS_OF = "2026-11-24T05:10:20.870Z"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def request_of(address: str, accept: str | None = None, **headers: str) -> HttpRequest:
    asked = RequestFactory().get(address, headers={**({} if accept is None else {"accept": accept}), **headers})
    asked.resolver_match = resolve(asked.path)
    return asked


def question_of(address: str, accept: str | None = None) -> str | None:
    """What the caches know the request by; None: nothing is cached."""
    request = request_of(address, accept)
    match = request.resolver_match
    match.func(request, **match.kwargs)
    return request.META.get(QUESTION)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (STARTS, f"{STARTS}?hours=24"),
        (STARTS, f"{STARTS}?sessions=10&hours=24"),
        (f"{STARTS}?hours=024", f"{STARTS}?hours=24"),
        (f"{STARTS}?hours=%2024", f"{STARTS}?hours=24.0"),
        (f"{STARTS}?hours=3&sessions=1", f"{STARTS}?sessions=1&hours=3"),
        (f"{STARTS}?as_of={AS_OF}", f"{STARTS}?as_of=2026-11-24T06:10:20.870%2B01:00"),
        (f"{STARTS}?as_of={AS_OF}", f"{STARTS}?as_of=2026-11-24T05:10:20.870999"),
        (f"{STARTS}?as_of={AS_OF}", f"{STARTS}?as_of=2026-11-24t05:10:20.87z"),
        (f"{STARTS}FI/?as_of={AS_OF}", f"{STARTS}fi/?as_of={AS_OF}&limit=100"),
        (f"{STARTS}timeline/?country=fi", f"{STARTS}timeline/?country=FI&hours=24"),
        (PLAYER, f"{PLAYER}?limit=20&overlaps=no"),
        (f"{PLAYER}?overlaps=true", f"{PLAYER}?overlaps=1&state=completed"),
        ("/by-country/FI/24", "/by-country/fi/024?cache=no"),
        ("/by-player/ada", "/by-player/ada?x=1&y=2"),
        ("/by-player/ada?format=json", "/by-player/ada?x=1&format=json"),
    ],
)
def test_spellings_are_one_question(one: str, other: str) -> None:
    assert question_of(one) == question_of(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{STARTS}?hours=24", f"{STARTS}?hours=25"),
        (f"{STARTS}?as_of={AS_OF}", f"{STARTS}?as_of=2026-11-24T05:10:20.871Z"),
        (STARTS, f"{STARTS}?as_of={AS_OF}"),
        (f"{STARTS}FI/", f"{STARTS}SE/"),
        (PLAYER, PLAYER.replace("ada", "Ada")),
        (PLAYER, f"{PLAYER}?state=open"),
        (PLAYER, f"{PLAYER}?format=json"),  # the links of the answer have it
        (f"{STARTS}timeline/", f"{STARTS}timeline/?country=FI"),
    ],
)
def test_what_is_answered_differently_is_another_question(one: str, other: str) -> None:
    assert question_of(one) != question_of(other)


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json",
        "application/json, */*",
        "application/json, text/plain, */*",
        "application/*",
        "APPLICATION/JSON",
        "application/json;q=0.9, text/csv;q=0.1",
        "application/json; charset=utf-8",
    ],
)
def test_whatever_is_answered_with_json_is_one_question(accept: str) -> None:
    for address in (STARTS, PLAYER, "/by-player/ada"):
        assert question_of(address, accept) == question_of(address)


@pytest.mark.parametrize("accept", [CHROME, "text/html", "application/json; indent=4"])
def test_another_form_is_another_question(accept: str) -> None:
    assert question_of(STARTS, accept) not in (question_of(STARTS), None)


def test_a_format_outweighs_accept_in_the_question_too() -> None:
    assert question_of(f"{STARTS}?format=json", "text/csv") == question_of(f"{STARTS}?format=json", "*/*")


@pytest.mark.parametrize(
    ("address", "accept"),
    [
        (f"{STARTS}?hours=0", None),
        (f"{STARTS}?hour=1", None),
        (f"{STARTS}?hours=1&hours=1", None),
        (f"{STARTS}?country=", None),
        (f"{STARTS}FIN/", None),
        (f"{STARTS}?format=xml", None),
        (STARTS, "image/png"),
        (f"{STARTS}?as_of=yesterday", CHROME),
        ("/by-country/FI/0", None),
        (STARTS, "text/csv"),  # a file is cached by cache_page alone
    ],
)
def test_what_is_refused_and_what_is_a_file_is_no_question(address: str, accept: str | None) -> None:
    assert question_of(address, accept) is None


@pytest.fixture(scope="module")
def stored() -> tuple[str, str]:
    """A country and a player with a few sessions before AS_OF."""
    at_ms = 1_795_497_020_870 - 3_600_000  # AS_OF - 1 h
    for number in range(3):
        session = uuid.uuid4()
        record_events([Event("start", "spelled", session, at_ms + number, "QQ")], now_ms=at_ms + 10_000)
        record_events([Event("end", "spelled", session, at_ms + number + 5, None)], now_ms=at_ms + 10_000)
    return "QQ", "spelled"


def spelled(*values: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


hours = spelled("2", "02", " 2", "2.0", "24", "0", "x", "9999")
as_ofs = st.sampled_from(
    [AS_OF, "2026-11-24T05:10:20.870999Z", "2026-11-24T07:10:20.87+02:00", "0001-01-01T00:00+12:00"]
)
forms = spelled("json", "csv", "api", "xml")
accepts = spelled(
    "*/*",
    "application/json",
    "application/json, */*",
    "application/json; indent=2",
    "text/csv",
    CHROME,
    "image/png",
)


def addresses_of(*paths: str, **query: st.SearchStrategy[str | None]) -> st.SearchStrategy[tuple[str, dict]]:
    return st.tuples(st.sampled_from(paths), st.fixed_dictionaries(query))


addresses = st.one_of(
    addresses_of(STARTS, as_of=as_ofs, hours=hours, sessions=spelled("0", "01", "1")),
    addresses_of(f"{STARTS}QQ/", f"{STARTS}qq/", f"{STARTS}QQQ/", as_of=as_ofs, hours=hours, limit=spelled("1", "+1")),
    addresses_of(f"{STARTS}timeline/", as_of=as_ofs, hours=hours, country=spelled("qq", "QQ", "")),
    addresses_of(
        "/api/v1/reports/players/spelled/sessions/",
        state=spelled("completed", "all"),
        overlaps=spelled("true", "1", "no"),
        limit=spelled("2", "02"),
        x=spelled("1"),
    ),
    addresses_of("/by-player/spelled", x=spelled("1")),
)


@hypothesis_settings(max_examples=300, deadline=None)
@given(addresses, forms, accepts, st.randoms(use_true_random=False))
def test_the_spelling_changes_no_answer(stored, address, form, accept, order) -> None:
    """As the view gives it that no cache stands before."""
    path, query = address
    items = [(name, value) for name, value in {**query, "format": form}.items() if value is not None]
    order.shuffle(items)
    replies = []
    for unspelled in (True, False):
        request = RequestFactory().get(path, items and dict(items), headers={"accept": accept} if accept else {})
        request.resolver_match = match = resolve(path)
        view: Callable = match.func.__wrapped__ if unspelled else match.func
        response = view(request, **match.kwargs)
        rendered = response.render() if hasattr(response, "render") else response
        content = b"".join(rendered.streaming_content) if rendered.streaming else rendered.content
        rendered.close()
        # Tokens of Django's forms are new in each page, and cursors in each second.
        content = re.sub(rb"[A-Za-z0-9]{64}|cursor=[^\"&]+", b"", content)
        replies.append((rendered.status_code, rendered["Content-Type"], rendered.get("Content-Disposition"), content))
    assert replies[0] == replies[1], re.sub(r"\s+", " ", str(items))


def test_a_moment_is_spelled_as_links_spell_it() -> None:
    assert f"as_of={AS_OF.replace(':', '%3A')}" in (question_of(f"{STARTS}?as_of={AS_OF}") or "")
    assert format_timestamp(1_795_497_020_870) == AS_OF
