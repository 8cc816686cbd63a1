"""The last completed sessions of a player."""

import uuid

import pytest

from events.domain import Event, format_timestamp
from events.services import record_events
from reports import player_sessions
from store import cassandra


@pytest.fixture(autouse=True, params=[0, 100], ids=["newest ends first", "all at once"])
def few_sessions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of reading a player."""
    monkeypatch.setattr(player_sessions, "FEW_SESSIONS", request.param)


def record(player: str, *events: tuple[str, uuid.UUID, int], now_ms: int, country: str = "FI") -> None:
    for kind, session, ts_ms in events:
        where = country if kind == "start" else None
        record_events([Event(kind, player, session, ts_ms, where)], now_ms=now_ms)


def report(api, player: str, **query: object) -> dict:
    return api.get(f"/api/v1/reports/players/{player}/sessions/", query).json()


def test_a_completed_session_is_listed_with_its_start_end_and_duration(api, player, now_ms):
    session = uuid.uuid4()
    record(player, ("start", session, now_ms - 60_000), ("end", session, now_ms - 1_500), now_ms=now_ms)
    assert report(api, player) == {
        "player_id": player,
        "next": None,
        "results": [
            {
                "session_id": str(session),
                "country": "FI",
                "started_at": format_timestamp(now_ms - 60_000),
                "ended_at": format_timestamp(now_ms - 1_500),
                "duration_seconds": 58.5,
                "ended_before_start": False,
                "overlaps": None,
            }
        ],
    }
    [legacy] = api.get(f"/by-player/{player}").json()
    assert {**legacy, "ended_before_start": False, "overlaps": None} == report(api, player)["results"][0]


def test_the_last_twenty_come_newest_end_first(api, player, now_ms):
    sessions = [uuid.uuid4() for _ in range(30)]
    for age, session in enumerate(sessions):
        record(player, ("end", session, now_ms - age * 1_000), ("start", session, now_ms - 90_000), now_ms=now_ms)
    shown = [row["session_id"] for row in report(api, player)["results"]]
    assert shown == [str(session) for session in sessions[:20]]
    assert len(api.get(f"/by-player/{player}").json()) == 20


def test_an_open_session_is_not_completed(api, player, now_ms):
    session = uuid.uuid4()
    record(player, ("start", session, now_ms - 2), ("start", session, now_ms - 1), now_ms=now_ms)
    assert report(api, player)["results"] == []


def test_an_end_without_its_start_is_shown_and_filled_later(api, player, now_ms):
    session = uuid.uuid4()
    record(player, ("end", session, now_ms), now_ms=now_ms)
    [row] = report(api, player)["results"]
    assert (row["started_at"], row["country"], row["duration_seconds"]) == (None, None, None)
    record(player, ("start", session, now_ms - 5_000), now_ms=now_ms)
    [row] = report(api, player)["results"]
    assert (row["country"], row["duration_seconds"]) == ("FI", 5.0)


def test_the_later_of_two_ends_wins_whatever_came_first(api, player, now_ms):
    sessions = [uuid.uuid4() for _ in range(3)]
    for session in sessions[:2]:
        order = [now_ms - 9_000, now_ms - 1_000] if session == sessions[0] else [now_ms - 2_000, now_ms - 8_000]
        record(player, *(("end", session, ts_ms) for ts_ms in order), now_ms=now_ms)
    record(player, ("end", sessions[2], now_ms - 5_000), now_ms=now_ms)
    shown = [(row["session_id"], row["ended_at"]) for row in report(api, player)["results"]]
    assert shown == [
        (str(sessions[0]), format_timestamp(now_ms - 1_000)),
        (str(sessions[1]), format_timestamp(now_ms - 2_000)),
        (str(sessions[2]), format_timestamp(now_ms - 5_000)),
    ]


def test_superseded_ends_do_not_cost_others_their_place(api, player, now_ms):
    restless = uuid.uuid4()
    for number in range(50):
        record(player, ("end", restless, now_ms - 50_000 + number * 1_000), now_ms=now_ms)
    old = [uuid.uuid4() for _ in range(25)]
    for session in old:
        record(player, ("end", session, now_ms - 100_000), now_ms=now_ms)
    first = report(api, player)
    assert len(first["results"]) == 20
    second = api.get(first["next"]).json()
    shown = [row["session_id"] for row in first["results"] + second["results"]]
    assert len(shown) == len(set(shown)) == 26
    assert second["next"] is None


def test_a_session_with_many_ends_costs_few_statements(player, now_ms, monkeypatch):
    monkeypatch.setattr(player_sessions, "FEW_SESSIONS", 0)  # no reading of all sessions at once
    restless, older = uuid.uuid4(), uuid.uuid4()
    ends = [Event("end", player, restless, now_ms - number, None) for number in range(300)]
    for first in range(0, 300, 10):
        record_events(ends[first : first + 10], now_ms=now_ms)
    record(player, ("end", older, now_ms - 100_000), now_ms=now_ms)
    asked: list[str] = []
    execute_many = cassandra.execute_many

    def noted(statements, **options):
        statements = list(statements)
        asked.extend(cql for cql, _ in statements)
        return execute_many(statements, **options)

    monkeypatch.setattr(cassandra, "execute_many", noted)
    page, _ = player_sessions.completed_sessions(player_id=player, now_ms=now_ms, limit=20)
    assert [session.session_id for session in page] == [restless, older]
    assert len(asked) < 12


def test_a_walk_over_the_pages_shows_every_session_once(api, player, now_ms):
    for _ in range(23):
        record(player, ("end", uuid.uuid4(), now_ms - 1_000), now_ms=now_ms)
    seen: list[str] = []
    url: str | None = f"/api/v1/reports/players/{player}/sessions/?limit=5"
    while url:
        page = api.get(url).json()
        seen += [row["session_id"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == len(set(seen)) == 23


def test_an_unknown_player_has_an_empty_list(api, player):
    assert report(api, player) == {"player_id": player, "next": None, "results": []}


def test_a_player_id_comes_back_as_it_was_sent(api):
    for player in (uuid.uuid4().hex, str(uuid.uuid4()), "Mixed.Case:@-_", "0"):
        assert report(api, player)["player_id"] == player


def test_a_wrong_player_id_is_refused(api):
    reply = api.get("/api/v1/reports/players/it's/sessions/")
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/player_id")


def test_wrong_limits_and_cursors_are_refused(api, player):
    for query in ({"limit": 0}, {"limit": 101}, {"cursor": "x"}):
        reply = api.get(f"/api/v1/reports/players/{player}/sessions/", query)
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, f"/{next(iter(query))}")


def test_a_cursor_of_another_report_is_refused(api, player, country, now_ms):
    for _ in range(2):
        record_events([Event("start", player, uuid.uuid4(), now_ms, country)], now_ms=now_ms)
    other = api.get(f"/api/v1/reports/starts/{country}/?limit=1").json()["next"].split("cursor=")[1].split("&")[0]
    assert api.get(f"/api/v1/reports/players/{player}/sessions/?cursor={other}").status_code == 400
