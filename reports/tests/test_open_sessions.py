"""The player report by state: completed, open, all; and which sessions overlap."""

import time
import uuid

import pytest

from events.domain import format_timestamp
from reports import player_sessions
from reports.tests.test_player_sessions import record, report


def ids(shown: dict) -> list[uuid.UUID]:
    return [uuid.UUID(row["session_id"]) for row in shown["results"]]


def walk(api, player: str, **query: object) -> list[uuid.UUID]:
    page = report(api, player, **query)
    seen = ids(page)
    while page["next"]:
        page = api.get(page["next"]).json()
        seen += ids(page)
    return seen


def test_a_session_is_listed_under_the_state_that_it_has(api, player, now_ms):
    ended, open_, without_start = (uuid.uuid4() for _ in range(3))
    record(player, ("start", ended, now_ms - 90_000), ("end", ended, now_ms - 80_000), now_ms=now_ms)
    record(player, ("start", open_, now_ms - 60_000), ("end", without_start, now_ms - 70_000), now_ms=now_ms)
    assert ids(report(api, player)) == ids(report(api, player, state="completed")) == [without_start, ended]
    assert report(api, player, state="open")["results"] == [
        {
            "session_id": str(open_),
            "country": "FI",
            "started_at": format_timestamp(now_ms - 60_000),
            "ended_at": None,
            "duration_seconds": None,
            "ended_before_start": False,
            "overlaps": False,
        }
    ]
    everything = report(api, player, state="all")
    assert ids(everything) == [open_, without_start, ended]
    assert everything["results"][1] == {
        "session_id": str(without_start),
        "country": None,
        "started_at": None,
        "ended_at": format_timestamp(now_ms - 70_000),
        "duration_seconds": None,
        "ended_before_start": False,
        "overlaps": False,
    }


def test_an_open_session_that_ends_is_open_no_more(api, player, now_ms):
    session = uuid.uuid4()
    record(player, ("start", session, now_ms - 9_000), now_ms=now_ms)
    assert ids(report(api, player, state="open")) == [session]
    record(player, ("end", session, now_ms - 1_000), now_ms=now_ms)
    assert ids(report(api, player, state="open")) == []


def test_overlaps_are_shown_in_every_state_also_with_sessions_on_other_pages(api, player, now_ms):
    old, apart, newest = (uuid.uuid4() for _ in range(3))
    record(player, ("start", old, now_ms - 90_000), now_ms=now_ms)  # open: up to now
    record(player, ("start", apart, now_ms - 99_000), ("end", apart, now_ms - 90_000), now_ms=now_ms)
    record(player, ("start", newest, now_ms - 9_000), ("end", newest, now_ms - 5_000), now_ms=now_ms)

    def overlaps(**query: object) -> dict[str, bool]:
        return {row["session_id"]: row["overlaps"] for row in report(api, player, **query)["results"]}

    assert overlaps() == {str(newest): None, str(apart): None}
    assert overlaps(overlaps="true") == {str(newest): True, str(apart): False}
    assert overlaps(state="open") == {str(old): True}
    assert overlaps(state="all") == {str(newest): True, str(old): True, str(apart): False}
    assert overlaps(state="all", limit=1) == {str(newest): True}
    pages = [report(api, player, overlaps="true", limit=1)]
    pages.append(api.get(pages[0]["next"]).json())
    assert [row["overlaps"] for page in pages for row in page["results"]] == [True, False]
    record(player, ("end", old, now_ms - 9_000), now_ms=now_ms)
    assert set(overlaps(state="all").values()) == {False}


@pytest.mark.parametrize("state", ["open", "all"])
def test_a_walk_shows_every_session_once_while_sessions_start_and_end(api, player, now_ms, state):
    same = [uuid.uuid4() for _ in range(9)] + [uuid.uuid1(), uuid.uuid1(), uuid.UUID(int=7)]
    lasting = [uuid.uuid4() for _ in range(8)]
    for age, session in enumerate(lasting):
        record(player, ("start", session, now_ms - 60_000 - age), now_ms=now_ms)
    record(player, *(("start", session, now_ms - 5_000) for session in same), now_ms=now_ms)
    page = report(api, player, state=state, limit=5)
    seen = ids(page)
    while page["next"]:
        record(player, ("start", uuid.uuid4(), time.time_ns() // 1_000_000), now_ms=now_ms)
        if state == "all":
            record(player, ("end", lasting[-1], time.time_ns() // 1_000_000), now_ms=now_ms)
        page = api.get(page["next"]).json()
        seen += ids(page)
    assert len(seen) == len(set(seen)) == 20
    assert set(seen) == {*same, *lasting}
    assert seen[len(same) :] == lasting


def test_pages_are_in_one_order(api, player, now_ms):
    for age in range(12):
        record(player, ("start", uuid.uuid4(), now_ms - 1_000 * (age % 5)), now_ms=now_ms)
    assert walk(api, player, state="open", limit=5) == ids(report(api, player, state="open", limit=100))


def test_what_is_older_than_the_retention_is_not_shown(api, settings, player, now_ms):
    record(player, ("start", uuid.uuid4(), now_ms - 90_000), now_ms=now_ms)
    assert len(report(api, player, state="open")["results"]) == 1
    settings.RETENTION_SECONDS = 60
    for state in ("open", "all"):
        assert report(api, player, state=state)["results"] == []


def test_a_cursor_of_another_state_is_refused(api, player, now_ms):
    for _ in range(2):
        record(player, ("start", uuid.uuid4(), now_ms), now_ms=now_ms)
    cursor = report(api, player, state="open", limit=1)["next"].split("cursor=")[1].split("&")[0]
    reply = api.get(f"/api/v1/reports/players/{player}/sessions/?state=all&cursor={cursor}")
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "invalid_cursor")


def test_a_wrong_state_is_refused(api, player):
    reply = api.get(f"/api/v1/reports/players/{player}/sessions/?state=closed")
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/state")


def test_a_session_that_was_started_again_overlaps_until_now(api, player, now_ms):
    again, later = uuid.uuid4(), uuid.uuid4()
    record(player, ("start", later, now_ms - 9_000), ("end", later, now_ms - 5_000), now_ms=now_ms)
    record(player, ("end", again, now_ms - 60_000), now_ms=now_ms)
    assert {row["overlaps"] for row in report(api, player, state="all")["results"]} == {False}
    record(player, ("start", again, now_ms - 50_000), now_ms=now_ms)
    assert {row["overlaps"] for row in report(api, player, state="all")["results"]} == {True}
    record(player, ("end", again, now_ms - 40_000), now_ms=now_ms)
    assert {row["overlaps"] for row in report(api, player, state="all")["results"]} == {False}


def test_a_player_with_very_many_sessions_still_has_the_completed_ones(api, monkeypatch, player, now_ms):
    sessions = [uuid.uuid4() for _ in range(4)]
    record(player, *(("end", session, now_ms) for session in sessions), now_ms=now_ms)
    monkeypatch.setattr(player_sessions, "FEW_SESSIONS", 2)
    monkeypatch.setattr(player_sessions, "MOST_SESSIONS", 4)
    assert {row["overlaps"] for row in report(api, player, overlaps="true")["results"]} == {False}
    monkeypatch.setattr(player_sessions, "MOST_SESSIONS", 3)
    rows = report(api, player, overlaps="true")["results"]
    assert (len(rows), {row["overlaps"] for row in rows}) == (4, {None})
    for state in ("open", "all"):
        reply = api.get(f"/api/v1/reports/players/{player}/sessions/?state={state}")
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "too_many_sessions")


def test_the_legacy_address_has_its_former_shape(api, player, now_ms):
    record(player, ("start", uuid.uuid4(), now_ms), ("end", uuid.uuid4(), now_ms), now_ms=now_ms)
    [row] = api.get(f"/by-player/{player}").json()
    assert set(row) == {"session_id", "country", "started_at", "ended_at", "duration_seconds"}
