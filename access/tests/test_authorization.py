"""Who has no key, or one that may not do it, is told so before anything else looks at the request."""

import base64
import time

import pytest
from django.urls import get_resolver

from access.authorization import KEY
from access.key_set import MOST_AGE_SECONDS, KeySet
from access.keys import ERASE, ID, READ, WRITE, new_key
from access.tests.conftest import Gate
from sessions_project.health import PROBES
from sessions_project.scopes import OPEN_PATHS
from store.errors import StatementRejected, StoreUnavailable

EVENTS, STARTS, PLAYER = "/api/v1/events/", "/api/v1/reports/starts/", "/api/v1/players/ada/"
LEGACY_WRITE, LEGACY_READS = "/event-handler", ("/by-country/FI/3", "/by-player/ada")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", EVENTS, WRITE),
        ("POST", LEGACY_WRITE, WRITE),
        ("GET", STARTS, READ),
        ("HEAD", STARTS, READ),
        ("GET", "/api/v1/reports/players/ada/sessions/", READ),
        *[("GET", path, READ) for path in LEGACY_READS],
        ("GET", PLAYER, ERASE),
        ("DELETE", PLAYER, ERASE),
        ("GET", "/there/is/nothing", READ),
    ],
)
def test_a_request_needs_its_scope_and_no_other(gate: Gate, method: str, path: str, scope: str) -> None:
    assert gate.ask(path, f"Bearer {gate.new_key(scope)}", method=method).status == 200
    others = {WRITE, READ, ERASE} - {scope}
    refused = gate.ask(path, f"Bearer {gate.new_key(*others)}", method=method)
    assert (refused.status, refused.problem) == (403, "scope-missing")
    assert scope in refused.body.decode()
    assert len(gate.seen) == 1


def test_every_address_but_the_page_and_the_probes_needs_a_key(gate: Gate) -> None:
    gate.new_key(READ)
    addresses = {f"/{pattern[0][0][0]}" for pattern in get_resolver().reverse_dict.values()}
    assert len(addresses) >= 10
    for path in addresses:
        assert (gate.ask(path).status == 401) == (path not in OPEN_PATHS), path
    assert {"/", "/page.js", "/favicon.ico", *PROBES} == OPEN_PATHS
    assert gate.ask("/static/dashboard/page.css").status == 200


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/docs/", "/api/v1/schema/"])
def test_what_the_service_says_of_itself_is_for_every_key(gate: Gate, path: str) -> None:
    assert gate.ask(path, f"Bearer {gate.new_key(WRITE)}").status == 200


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (None, "key-required"),
        ("", "key-required"),
        ("Bearer", "key-required"),
        ("Digest abc", "key-required"),
        ("Basic !!!", "key-required"),
        ("Bearer nonsense", "key-invalid"),
        ("Bearer pss_r_0123456789ab_" + "x" * 43 + "_00000000", "key-invalid"),
        ("Bearer \u00fc", "key-invalid"),
    ],
)
def test_a_request_without_a_key_is_told_how_to_send_one(gate: Gate, sent: str | None, problem: str) -> None:
    gate.new_key(READ)
    refused = gate.ask(STARTS, sent)
    assert (refused.status, refused.problem) == (401, problem)
    assert refused.all("WWW-Authenticate")[0].startswith("Bearer realm=")
    assert refused.all("Cache-Control") == ["no-store"]
    assert not gate.seen


def test_a_key_is_refused_once_it_is_over(gate: Gate) -> None:
    now_ms = time.time() * 1000
    for moment in ("expires_ms", "revoked_ms"):
        over = gate.ask(STARTS, f"Bearer {gate.new_key(READ, **{moment: now_ms})}")
        assert (over.status, over.problem) == (401, "key-invalid")
    assert gate.ask(STARTS, f"Bearer {gate.new_key(READ, expires_ms=now_ms + 60_000)}").status == 200


def test_no_secret_of_another_key_opens(gate: Gate) -> None:
    one, other = gate.new_key(READ), gate.new_key(READ)
    mixed = one[:18] + other[18:]
    assert gate.ask(STARTS, f"Bearer {mixed}").status == 401


def test_the_key_goes_no_further_than_here(gate: Gate) -> None:
    text = gate.new_key(READ)
    gate.ask(STARTS, f"Bearer {text}")
    (seen,) = gate.seen
    assert "HTTP_AUTHORIZATION" not in seen
    assert (seen[KEY].key_id, seen[KEY].scopes) == (text[ID], {READ})
    assert text not in str(seen)


def test_open_addresses_get_no_key_either(gate: Gate) -> None:
    gate.ask("/", "Bearer secret")
    assert "secret" not in str(gate.seen)


def test_what_is_let_in_is_private(gate: Gate) -> None:
    reply = gate.ask(STARTS, f"bearer {gate.new_key(READ)}")
    assert reply.status == 200
    assert reply.all("Vary") == ["Accept", "Authorization"]
    assert reply.all("Cache-Control") == ["private"]


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(f'anybody:{text}'.encode()).decode()}"


def test_a_browser_may_read_by_a_password_and_never_write(gate: Gate) -> None:
    text = gate.new_key(READ, WRITE)
    assert gate.ask(STARTS, basic(text)).status == 200
    assert gate.ask(EVENTS, basic(text), method="POST").status == 401
    assert gate.ask("/api/v1/players/ada/", basic(text), method="DELETE").status == 401


def test_only_a_browser_that_goes_to_a_page_brings_up_its_prompt(gate: Gate) -> None:
    gate.new_key(READ)
    page = gate.ask("/api/v1/docs/", HTTP_ACCEPT="text/html,*/*;q=0.8")
    assert [one.split()[0] for one in page.all("WWW-Authenticate")] == ["Bearer", "Basic"]
    for script in (gate.ask(STARTS, HTTP_ACCEPT="application/json"), gate.ask(EVENTS, method="POST")):
        assert [one.split()[0] for one in script.all("WWW-Authenticate")] == ["Bearer"]


def test_before_the_first_reading_nobody_is_let_in(gate: Gate) -> None:
    refused = gate.ask(STARTS, f"Bearer {new_key([READ])}")
    assert (refused.status, refused.problem) == (503, "keys-unavailable")
    assert refused.all("Retry-After") == ["1"]
    assert gate.ask("/livez").status == 200


def test_keys_hold_for_a_while_without_the_store(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    text = gate.new_key(READ)
    gate.key_set._read = _unavailable
    gate.key_set.refresh()
    assert gate.ask(STARTS, f"Bearer {text}").status == 200
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + MOST_AGE_SECONDS + 1)
    assert gate.ask(STARTS, f"Bearer {text}").problem == "keys-unavailable"
    assert gate.ask(STARTS, f"Bearer {new_key([READ])}").status == 503


def test_what_keeps_keys_from_being_read_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    keys = KeySet(_rejected)
    for _ in range(3):
        keys.refresh()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "sync_cassandra" in caplog.text


def _unavailable() -> list[object]:
    raise StoreUnavailable("away")


def _rejected() -> list[object]:
    raise StatementRejected("no such table")
