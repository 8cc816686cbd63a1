"""A player who was erased is in no table, whoever wrote the rows, and what comes again is discarded everywhere."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.management import CommandError, call_command

from conftest import PROJECT, manage
from events import erased_players
from events.api.fast_path import batches
from events.batched import batched
from events.counting.hours import bring_up_to_date, count_starts
from events.domain import DAY_MS, HOUR_MS, Event, Window, day_of, format_timestamp, hour_of
from events.erased_players import ErasedPlayers
from events.services import record_events
from events.tests.conftest import environment_of
from events.tests.dumps import lines_of
from events.tests.test_fast_path import full_stack
from events.upkeep import erasing, walk
from events.upkeep.erasing import DONE, PENDING, ErasurePass, erase_known, erasure_of, request_erasure
from events.upkeep.row_checks import SOON
from store import cassandra
from web.fast_path import FastPath

# Cassandra reads nothing with more than 100,000 of them (tombstone_failure_threshold).
TOMBSTONES = 100_001
TABLES = {
    "session_by_player_id": "SELECT session_id, started_at, ended_at FROM {keyspace}.session_by_player_id "
    "WHERE player_id = ?",
    "completed_session_by_player_id": "SELECT session_id FROM {keyspace}.completed_session_by_player_id "
    "WHERE player_id = ?",
}


@pytest.fixture(autouse=True)
def _quickly(own_keyspace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is in flight in a test that has ended."""
    monkeypatch.setattr(erasing, "DUE_AFTER_MS", 0)
    monkeypatch.setattr(walk, "RANGES", 4)
    erased_players.forget()
    yield
    erased_players.forget()


def rows_of(player: str, *countries: str) -> dict[str, list]:
    """Every row that names the player."""
    found = {table: cassandra.execute(cql, (player,)) for table, cql in TABLES.items()}
    hours = "SELECT country, hour, shard, session_id, player_id FROM {keyspace}.session_by_country"
    starts = [row for row in cassandra.execute(hours, ()) if row[4] == player]
    return {table: rows for table, rows in {**found, "session_by_country": starts}.items() if rows}


def session(player: str, country: str, ts_ms: int) -> list[Event]:
    one = uuid.uuid4()
    return [Event("start", player, one, ts_ms, country), Event("end", player, one, ts_ms + 1_000, None)]


def sent(application: Callable[..., Any], body: bytes) -> dict[str, Any]:
    """The reply to a batch, past the test client, which would not come by the fast path."""
    return json.loads(_answer(application, body)[1])


def status_of(application: Callable[..., Any], body: bytes) -> int:
    return int(_answer(application, body)[0].split()[0])


def _answer(application: Callable[..., Any], body: bytes) -> tuple[str, bytes]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/events/",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
    }
    setup_testing_defaults(environ)
    statuses: list[str] = []
    answer = b"".join(application(environ, lambda status, *_: statuses.append(status)))
    return statuses[0], answer


def starts_reported(country: str, now_ms: int) -> int:
    window = Window(now_ms - 40 * DAY_MS, now_ms)
    counts = count_starts(window=window, now_ms=now_ms, deadline=cassandra.deadline_from_now(), country=country)
    return sum(counts.starts.get(country, []))


def erase(player: str) -> None:
    """As the command does it."""
    erasure = request_erasure(player, requested_by="test")
    erase_known(erasure)
    erasing_pass = ErasurePass([erasure], most_rows=1_000_000)
    assert erasing_pass.run()
    assert erasure_of(player).state == DONE


def test_a_player_is_erased_at_once_and_nobody_else(api, player: str, country: str, now_ms: int) -> None:
    other = f"{player}.2"
    events = [event for hours in (1, 5, 30, 200) for event in session(player, country, now_ms - hours * HOUR_MS)]
    record_events(events, now_ms=now_ms)
    record_events(session(other, country, now_ms - 5 * HOUR_MS), now_ms=now_ms)
    bring_up_to_date({day_of(event.ts_ms) for event in events}, now_ms=now_ms)
    assert starts_reported(country, now_ms) == 5
    reply = api.delete(f"/api/v1/players/{player}/")
    assert (reply.status_code, reply.data["player_id"], reply.data["state"]) == (202, player, PENDING)
    assert format_timestamp(now_ms + 300_000) <= reply.data["until"] <= format_timestamp(now_ms + 360_000)
    assert starts_reported(country, now_ms) == 1
    assert rows_of(player) == {}
    assert set(rows_of(other)) == {*TABLES, "session_by_country"}
    assert api.get(f"/api/v1/reports/players/{player}/sessions/").json()["results"] == []
    assert api.get(f"/api/v1/players/{player}/").data == reply.data
    assert api.get(f"/api/v1/players/{other}/").data == {"player_id": other, "until": None, "state": "not_erased"}


def test_what_comes_again_is_discarded_by_http_on_every_way(api, player: str, country: str, now_ms: int) -> None:
    api.delete(f"/api/v1/players/{player}/")
    body = [
        {"event": "start", "player_id": player, "country": country, "ts": format_timestamp(now_ms - HOUR_MS)},
        {"event": "end", "player_id": f"{player}.2", "ts": format_timestamp(now_ms - HOUR_MS)},
    ]
    for application in (full_stack, FastPath(full_stack, kinds=[batches()])):
        reply = sent(application, json.dumps(body).encode())
        assert [one["status"] for one in reply["results"]] == ["discarded", "stored"]
    assert api.post("/event-handler", body[0], format="json").status_code == 204
    assert rows_of(player) == {}


def test_what_happens_later_is_stored(settings, api, player: str, country: str) -> None:
    settings.FUTURE_TOLERANCE_SECONDS = 0
    api.delete(f"/api/v1/players/{player}/")
    time.sleep(0.002)
    later = time.time_ns() // 1_000_000
    assert record_events(session(player, country, later), now_ms=later + 2_000) == [True, True]
    erasure = erasure_of(player)
    assert ErasurePass([erasure], most_rows=1_000_000).run()
    assert [len(rows) for rows in rows_of(player).values()] == [1, 1, 1]


def test_a_start_that_was_superseded_goes_with_the_pass(player: str, country: str, now_ms: int) -> None:
    one = uuid.uuid4()
    starts = [Event("start", player, one, now_ms - hours * HOUR_MS, country) for hours in (1, 3, 5)]
    record_events(starts, now_ms=now_ms)
    bring_up_to_date([day_of(now_ms), day_of(now_ms) - DAY_MS], now_ms=now_ms)
    assert starts_reported(country, now_ms) == 3
    erasure = request_erasure(player, requested_by="test")
    erase_known(erasure)
    assert set(rows_of(player)) == {"session_by_country"}
    erasing_pass = ErasurePass([erasure], most_rows=1_000_000)
    assert erasing_pass.run()
    assert erasing_pass.deleted[player] == 2
    assert rows_of(player) == {}
    assert starts_reported(country, now_ms) == 0
    assert erasure_of(player).state == DONE


def test_rows_that_another_tool_wrote_later_go_as_well(player: str, country: str, now_ms: int) -> None:
    one, ts, written = uuid.uuid4(), now_ms - DAY_MS, (now_ms + DAY_MS) * 1_000
    for cql, values in (
        (
            "session_by_country (country, hour, shard, ts, session_id, player_id)",
            (country, hour_of(ts), 0, ts, one, player),
        ),
        (
            "session_by_player_id (player_id, session_id, started_at, country, ended_at)",
            (player, one, ts, country, ts + 1),
        ),
    ):
        places = ", ".join("?" * len(values))
        cassandra.execute(f"INSERT INTO {{keyspace}}.{cql} VALUES ({places}) USING TIMESTAMP ?", (*values, written))
    cassandra.execute(
        "INSERT INTO {keyspace}.completed_session_by_player_id (player_id, ended_at, session_id) VALUES (?, ?, ?)",
        (player, ts + 1, one),
    )
    erase(player)
    time.sleep(SOON + 0.1)
    assert rows_of(player) == {}


def test_the_start_of_another_player_in_the_same_row_stays(player: str, country: str, now_ms: int) -> None:
    """The key of a start does not tell the player: whoever was written last is the one in it."""
    other, one, ts = f"{player}.2", uuid.uuid4(), now_ms - DAY_MS
    record_events([Event("start", player, one, ts, country)], now_ms=now_ms)
    cql = "UPDATE {keyspace}.session_by_country USING TIMESTAMP ? SET player_id = ? WHERE country = ? AND hour = ? "
    key = (country, hour_of(ts), ts, one)
    cassandra.execute(f"{cql} AND shard = 0 AND ts = ? AND session_id = ?", (ts * 1_000 + 1, other, *key))
    erase(player)
    assert set(rows_of(other)) == {"session_by_country"}


def test_another_process_knows_within_seconds(player: str) -> None:
    elsewhere = ErasedPlayers()
    assert player not in elsewhere.until()
    erasure = request_erasure(player, requested_by="test")
    deadline = time.monotonic() + erased_players.MOST_SECONDS_OLD
    while player not in elsewhere.until():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert elsewhere.until()[player] == erasure.until_ms


def test_until_is_never_lowered_and_who_is_erased_again_waits_again(player: str, now_ms: int) -> None:
    erase(player)
    first = erasure_of(player)
    assert request_erasure(player, requested_by="test", until_ms=now_ms - DAY_MS) == first
    time.sleep(0.002)
    second = request_erasure(player, requested_by="test")
    assert second.until_ms > first.until_ms
    assert second.state == PENDING


def test_a_dump_brings_nothing_back(own_keyspace: str, player: str, country: str, now_ms: int, tmp_path: Path) -> None:
    """Also moved to now; a line without a moment says nothing of when it happened."""
    request_erasure(player, requested_by="test")
    lines = [
        {"event": "start", "player_id": player, "country": country, "ts": format_timestamp(now_ms - 3 * DAY_MS)},
        {"event": "end", "player_id": player},
        {"event": "end", "player_id": f"{player}.2", "ts": format_timestamp(now_ms - 2 * DAY_MS)},
        {"event": "end", "player_id": f"{player}.2"},
    ]
    dump = tmp_path / "dump.jsonl"
    dump.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for option in ([], ["--rebase"]):
        imported = manage(
            "import_sessions", str(dump), "--json", *option, cwd=tmp_path, env=environment_of(own_keyspace)
        )
        assert imported.returncode == 0, imported.stderr
        summary = json.loads(imported.stdout)
        assert (summary["stored"], summary["discarded"]) == (2, 2)
    assert rows_of(player) == {}


def test_ids_that_stand_for_nobody_are_refused(api) -> None:
    for nobody in ("null", "Undefined", "0", "00000000-0000-0000-0000-000000000000"):
        reply = api.delete(f"/api/v1/players/{nobody}/")
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "stands_for_nobody")
        with pytest.raises(CommandError, match="--force"):
            call_command("erase_players", nobody)
    assert api.delete("/api/v1/players/a%20b/").json()["errors"][0]["code"] == "invalid_player_id"
    assert api.delete("/api/v1/players/ada/?force=true").status_code == 400
    assert erasure_of("null") is None


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        call_command("erase_players", *arguments, "--rate", "1000000")
        return capsys.readouterr().out

    return run


def test_the_command_erases_and_finishes_what_was_asked_for(command, api, player, country, now_ms, tmp_path) -> None:
    players = [f"{player}.{number}" for number in range(3)]
    for one in players:
        record_events(session(one, country, now_ms - HOUR_MS), now_ms=now_ms)
    api.delete(f"/api/v1/players/{players[0]}/")
    (file := tmp_path / "players").write_text(f"{players[1]}\n\n{players[2]}\n")
    assert "erased" in command("--file", str(file))
    for one in players:
        assert api.get(f"/api/v1/players/{one}/").data["state"] == DONE
        assert rows_of(one) == {}
    assert "No erasure is pending" in command("--pending")


def test_a_file_with_what_is_no_player_erases_nobody(command, player: str, tmp_path: Path) -> None:
    file = tmp_path / "players"
    for line in ('{"player_id": 5, "until": "2026-11-30T05:00Z"}', '{"player_id": null, "until": "2026-11-30"}', "a b"):
        file.write_text(f"{player}\n{line}\n")
        with pytest.raises(CommandError, match=r"Nobody was erased|Line 2 of"):
            command("--file", str(file))
    assert erasure_of(player) is None


def test_the_list_that_was_exported_erases_what_a_snapshot_brought_back(
    command, player: str, country: str, now_ms: int, tmp_path: Path
) -> None:
    events = session(player, country, now_ms - DAY_MS)
    erase(player)
    first = erasure_of(player)
    (file := tmp_path / "erased.jsonl").write_text(command("--export"))
    for table in (*TABLES, "session_by_country", "erased_player"):  # and a snapshot of before the request
        cassandra.execute(f"TRUNCATE {{keyspace}}.{table}", ())
    erased_players.forget()
    record_events(events, now_ms=now_ms)
    assert len(rows_of(player)) == 3
    command("--file", str(file))
    assert rows_of(player) == {}
    assert erasure_of(player).until_ms == first.until_ms


def test_the_command_says_how_to_go_on_when_it_is_stopped_while_it_waits(
    own_keyspace: str, start_process: Callable[..., subprocess.Popen], player: str
) -> None:
    command = [sys.executable, str(PROJECT / "manage.py"), "erase_players", player]
    run = start_process(command, env=environment_of(own_keyspace), stderr=subprocess.PIPE)
    for line in run.stderr:
        if line.startswith(b"Waiting"):
            break
    run.send_signal(signal.SIGINT)
    assert run.stderr.read() == b"Stopped. The erasures are still pending: run erase_players --pending.\n"
    assert run.wait(10) == 128 + signal.SIGINT
    assert erasure_of(player).state == PENDING


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"player_id": 5, "until": "2026-11-30T00:00:00Z"}', "not a string"),
        ('{"player_id": "a", "until": 5}', "expected string"),
        ('{"player_id": "a", "until": "9999-11-30T00:00:00Z"}', "in the future"),
        ('{"player_id": "a", "until": "0001-01-01T00:00:00+14:00"}', "before the year 1"),
        ('{"player_id": "a"}', "until"),
        ('{"a":' * 100_000, "recursion"),
    ],
)
def test_a_line_that_export_did_not_write_erases_nobody(
    command, player: str, tmp_path: Path, line: str, said: str
) -> None:
    (file := tmp_path / "players").write_text(f"{player}\n{line}\n")
    with pytest.raises(CommandError, match=rf"Line 2 of .*{said}"):
        command("--file", str(file))
    assert erasure_of(player) is None


def test_the_log_tells_of_an_erasure_without_the_id(player, country, now_ms, caplog) -> None:
    record_events(session(player, country, now_ms), now_ms=now_ms)
    with caplog.at_level("INFO", logger="events.upkeep.erasing"):
        erase(player)
    assert f"Erased 3 rows of the player {erasing.hashed(player)}, asked for by test" in caplog.text
    assert player not in caplog.text


@pytest.fixture
def unreadable_list(own_keyspace: str) -> Callable[[], None]:
    """Has Cassandra refuse to read the list, and nothing else: there are too many deletions in one of its cells."""

    def break_it() -> None:
        for some in batched(range(TOMBSTONES), 2_000):
            names = {str(number) for number in some}
            cassandra.execute("UPDATE {keyspace}.erased_player SET changes = changes - ? WHERE bucket = 0", (names,))

    return break_it


def test_nothing_is_stored_without_a_list_of_the_last_seconds(
    api, unreadable_list: Callable[[], None], player: str, country: str, now_ms: int
) -> None:
    event = {"event": "start", "player_id": player, "country": country, "ts": format_timestamp(now_ms - HOUR_MS)}

    def statuses() -> list[int]:
        batch = json.dumps([event]).encode()
        return [
            status_of(full_stack, batch),
            status_of(FastPath(full_stack, kinds=[batches()]), batch),
            api.post("/event-handler", event, format="json").status_code,
        ]

    assert statuses() == [201, 201, 204]
    unreadable_list()
    read_at = time.monotonic()
    assert statuses() == [201, 201, 204]  # the list is young enough
    while statuses() != [503, 503, 503]:
        assert time.monotonic() < read_at + 5 + 3  # the three of a moment before may have taken some time
        time.sleep(0.1)
    cassandra.execute("TRUNCATE {keyspace}.erased_player", ())
    assert statuses() == [201, 201, 204]


def test_an_import_waits_for_the_list(
    own_keyspace: str,
    unreadable_list: Callable[[], None],
    start_process: Callable[..., subprocess.Popen],
    player: str,
    country: str,
    now_ms: int,
    tmp_path: Path,
) -> None:
    unreadable_list()
    (tmp_path / "dump.jsonl").write_text(lines_of(player, country, now_ms))
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "dump.jsonl", "--metrics", "import.prom"]
    run = start_process(command, cwd=tmp_path, env=environment_of(own_keyspace), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while "import_waiting 1" not in (told := _text(tmp_path / "import.prom")):
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.1)
    assert 'outcome="stored"} 0' in told
    assert rows_of(player) == {}
    cassandra.execute("TRUNCATE {keyspace}.erased_player", ())
    assert run.wait(60) == 0
    assert len(rows_of(player)["session_by_player_id"]) == 5


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
