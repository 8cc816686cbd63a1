"""Questions that read much have few slots of their own; a player with too many sessions is read once."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.players import fill_player
from reports import expensive, player_sessions
from reports.expensive import AT_A_TIME
from reports.tests.test_player_sessions import record
from store import cassandra

STARTS = "/api/v1/reports/starts/"
MONTH, LONGER = 31 * 24, 31 * 24 + 1
EXPENSIVE = [
    *(f"{STARTS}{report}?hours={LONGER}" for report in ("", "FI/", "timeline/")),
    f"/by-country/FI/{LONGER}",
    f"{STARTS}FI/?format=csv",
    *(f"/api/v1/reports/players/MANY/sessions/?{query}" for query in ("overlaps=true", "state=open", "state=all")),
]
CHEAP = [
    *(f"{STARTS}{report}?hours={MONTH}" for report in ("", "FI/", "timeline/")),
    f"/by-country/FI/{MONTH}",
    f"{STARTS}?format=csv",
    *(f"/api/v1/reports/players/FEW/sessions/?{query}" for query in ("overlaps=true", "state=open", "state=all")),
    "/api/v1/reports/players/MANY/sessions/",
    "/by-player/MANY",
]


@pytest.fixture(scope="module")
def players() -> dict[str, str]:
    """One with more than a few sessions, and one with as many as are a few."""
    now_ms, names = time.time_ns() // 1_000_000, {name: f"{name}_{uuid.uuid4().hex}" for name in ("MANY", "FEW")}
    fill_player(names["MANY"], player_sessions.FEW_SESSIONS + 50, now_ms=now_ms)
    fill_player(names["FEW"], player_sessions.FEW_SESSIONS, now_ms=now_ms)
    return names


@pytest.fixture
def all_taken() -> Iterator[None]:
    """Every slot is."""
    assert [expensive._slots.acquire() for _ in range(AT_A_TIME)] == [True] * AT_A_TIME
    yield
    for _ in range(AT_A_TIME):
        expensive._slots.release()


def address(template: str, players: dict[str, str]) -> str:
    for name, player in players.items():
        template = template.replace(f"/{name}", f"/{player}")
    return template


@pytest.mark.parametrize("template", EXPENSIVE)
def test_an_expensive_question_waits_for_a_slot_and_is_refused_when_there_is_none(api, players, template, all_taken):
    reply = api.get(address(template, players))
    assert (reply.status_code, reply["Retry-After"], reply["Content-Type"]) == (503, "2", "application/problem+json")
    assert reply.json() == {
        "type": "urn:player-sessions:problem:too-many-expensive-reports",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Other expensive reports are being built. Ask again in a few seconds, or ask for less.",
    }


@pytest.mark.parametrize("template", EXPENSIVE)
def test_an_expensive_question_has_its_slot_until_it_is_answered(api, players, template):
    for _ in range(AT_A_TIME + 1):
        reply = api.get(address(template, players))
        assert reply.status_code == 200
        reply.close()
    assert expensive._slots._slots.qsize() == AT_A_TIME


@pytest.mark.parametrize("template", CHEAP)
def test_other_questions_need_no_such_slot(api, players, template, all_taken):
    assert api.get(address(template, players)).status_code == 200


def test_who_waits_has_the_slot_that_becomes_free(api, players, monkeypatch):
    monkeypatch.setattr(expensive._slots, "_seconds", 10)
    with ThreadPoolExecutor() as pool:
        with expensive.expensive(), expensive.expensive():
            waits = pool.submit(api.get, address(EXPENSIVE[-1], players))
            while expensive._slots._queue.qsize() == expensive.MOST_WAITING:
                time.sleep(0.001)
            assert not waits.done()
        assert waits.result(10).status_code == 200


def test_the_slot_is_free_again_when_the_store_fails(api, players, settings):
    settings.REPORT_SECONDS = -1
    assert api.get(f"{STARTS}?hours={LONGER}").json()["type"].endswith("store-unavailable")
    assert expensive._slots._slots.qsize() == AT_A_TIME


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The statements that go to the store, each without blanks at its ends."""
    session, statements = cassandra._connected(), []
    send = session.execute_async

    def noted(statement, **options):
        statements.append(statement.prepared_statement.query_string.strip())
        return send(statement, **options)

    monkeypatch.setattr(session, "execute_async", noted)
    return statements


def more_sessions(asked: list[str]) -> int:
    """How often more than the first sessions of a player were asked for; forgets what was asked."""
    number = sum("session_id > ?" in statement for statement in asked)
    assert asked
    asked.clear()
    return number


@pytest.fixture
def garbage(monkeypatch, player, now_ms) -> str:
    """A player with one session more than can be read, as of clients that send ``null``."""
    monkeypatch.setattr(player_sessions, "MOST_SESSIONS", player_sessions.FEW_SESSIONS + 9)
    monkeypatch.setattr(player_sessions, "SESSIONS_AT_A_TIME", 5)
    fill_player(player, player_sessions.MOST_SESSIONS + 1, now_ms=now_ms)
    return player


def test_a_player_with_too_many_sessions_is_read_once(api, garbage, asked):
    page = f"/api/v1/reports/players/{garbage}/sessions/"
    replies = [api.get(page, {"state": state}) for state in ("open", "all", "open")]
    assert [reply.status_code for reply in replies] == [400] * 3
    assert {reply.json()["errors"][0]["code"] for reply in replies} == {"too_many_sessions"}
    assert more_sessions(asked) == 2  # the first 101, then 5 and 5
    rows = api.get(page, {"overlaps": "true"}).json()["results"]
    assert (len(rows), {row["overlaps"] for row in rows}) == (20, {None})
    assert more_sessions(asked) == 0


def test_it_is_refused_although_all_slots_are_taken(api, garbage, all_taken):
    page = f"/api/v1/reports/players/{garbage}/sessions/"
    player_sessions._remember_too_many(garbage)
    assert api.get(page, {"state": "open"}).status_code == 400


def test_it_is_read_again_after_a_while(api, monkeypatch, garbage, asked):
    monkeypatch.setattr(player_sessions, "TOO_MANY_REMEMBERED_SECONDS", 1)
    page = f"/api/v1/reports/players/{garbage}/sessions/"
    assert api.get(page, {"state": "open"}).status_code == 400
    monkeypatch.setattr(player_sessions, "MOST_SESSIONS", player_sessions.MOST_SESSIONS + 1)  # as if one had expired
    time.sleep(1.1)
    asked.clear()
    assert api.get(page, {"state": "open"}).status_code == 200
    assert more_sessions(asked) > 0


@pytest.mark.parametrize("sessions", [100, 101, 105, 106, 107, 109])
def test_all_sessions_are_read_whatever_their_number(api, monkeypatch, player, now_ms, sessions):
    monkeypatch.setattr(player_sessions, "SESSIONS_AT_A_TIME", 5)
    monkeypatch.setattr(player_sessions, "MOST_SESSIONS", 109)
    fill_player(player, sessions, now_ms=now_ms)
    record(player, ("start", uuid.UUID(int=0), now_ms), ("start", uuid.uuid1(), now_ms), now_ms=now_ms)
    reply = api.get(f"/api/v1/reports/players/{player}/sessions/", {"state": "all", "limit": 100}).json()
    if sessions + 2 > player_sessions.MOST_SESSIONS:
        assert reply["errors"][0]["code"] == "too_many_sessions"
    else:
        rest = api.get(reply["next"]).json()
        assert len({row["session_id"] for row in reply["results"] + rest["results"]}) == sessions + 2
        assert rest["next"] is None
