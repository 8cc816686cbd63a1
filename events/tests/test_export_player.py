"""A player's own data: every row of every table that names the player, and nobody else's."""

import json
import time
import uuid

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from events.domain import DAY_MS, HOUR_MS, Event
from events.services import record_events
from events.upkeep import walk
from events.upkeep.erasing import request_erasure
from store import cassandra


@pytest.fixture(autouse=True)
def _alone(own_keyspace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "RANGES", 4)


def exported(text: str) -> list[tuple[str, dict]]:
    *lines, last = map(json.loads, text.splitlines())
    assert last == {"rows": len(lines)}
    return [(line["table"], line["row"]) for line in lines]


def store(player: str, country: str, now_ms: int) -> uuid.UUID:
    """A session that was started twice and has ended, and one of somebody else in the same hour."""
    session = uuid.uuid4()
    starts = [Event("start", player, session, now_ms - days * DAY_MS, country) for days in (1, 2)]
    others = Event("start", f"{player}.2", uuid.uuid4(), now_ms - DAY_MS, country)
    record_events([*starts, Event("end", player, session, now_ms - DAY_MS + HOUR_MS, None), others], now_ms=now_ms)
    return session


def test_the_export_has_every_row_that_the_player_is_known_by(api, player: str, country: str, now_ms: int) -> None:
    session = store(player, country, now_ms)
    request_erasure(player, requested_by="test", until_ms=now_ms - 30 * DAY_MS)
    reply = api.get(f"/api/v1/players/{player}/export/")
    assert (reply.status_code, reply["Content-Type"].split(";")[0]) == (200, "application/x-ndjson")
    rows = exported(reply.content.decode())
    assert sorted(table for table, _ in rows) == [
        "completed_session_by_player_id",
        "erased_player",
        "session_by_country",
        "session_by_player_id",
    ]
    assert {row["player_id"] for _, row in rows} == {player}
    assert {row["session_id"] for _, row in rows if "session_id" in row} == {str(session)}
    assert dict(rows)["session_by_player_id"]["country"] == country


def test_who_asks_over_http_waits_no_longer_than_for_a_report(
    api, player: str, country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(player, country, now_ms)
    execute_many, seconds = cassandra.execute_many, []

    def noted(*arguments, deadline: float, **options):
        seconds.append(deadline - time.monotonic())
        return execute_many(*arguments, deadline=deadline, **options)

    monkeypatch.setattr(cassandra, "execute_many", noted)
    for ask, status in ((api.get, 200), (api.delete, 202)):
        path = f"/api/v1/players/{player}/{'export/' if ask == api.get else ''}"
        assert ask(path).status_code == status
    assert len(seconds) >= 4
    assert max(seconds) <= settings.REPORT_SECONDS


def test_the_command_has_the_starts_that_were_superseded_as_well(
    player: str, country: str, now_ms: int, capsys: pytest.CaptureFixture[str]
) -> None:
    store(player, country, now_ms)
    call_command("export_player", player, "--rate", "1000000")
    rows = exported(capsys.readouterr().out)
    assert sorted(table for table, _ in rows) == [
        "completed_session_by_player_id",
        "session_by_country",
        "session_by_country",
        "session_by_player_id",
    ]
    assert {row["player_id"] for _, row in rows} == {player}


def test_who_is_unknown_has_no_rows_and_what_is_no_id_is_refused(api, player: str) -> None:
    assert exported(api.get(f"/api/v1/players/{player}/export/").content.decode()) == []
    assert api.get("/api/v1/players/a%20b/export/").json()["errors"][0]["code"] == "invalid_player_id"
    assert api.get(f"/api/v1/players/{player}/export/?form=csv").status_code == 400
    with pytest.raises(CommandError, match="no player id"):
        call_command("export_player", "a b")


def test_who_has_too_many_rows_is_told_the_way(api, monkeypatch: pytest.MonkeyPatch, player, country, now_ms) -> None:
    monkeypatch.setattr("events.api.players.MOST_ROWS", 2)
    store(player, country, now_ms)
    [error] = api.get(f"/api/v1/players/{player}/export/").json()["errors"]
    assert error["code"] == "too_many_rows"
    assert "export_player" in error["detail"]
