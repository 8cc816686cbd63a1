"""manage.py import_sessions --rebase: by how much events are moved, and what is said of it."""

import json
import re

import pytest

from conftest import manage
from events.domain import DAY_MS, format_timestamp, parse_timestamp
from events.importing.checkpoint import Checkpoint
from events.importing.dump import Dump
from events.importing.line_validator import newest_timestamp
from events.importing.rebase import shift_in_words
from events.tests.dumps import OLD, lines_of, stored
from reports.player_sessions import completed_sessions


def start(player: str, country: str, ts: str) -> str:
    return json.dumps({"event": "start", "player_id": player, "country": country, "ts": ts}) + "\n"


def test_an_event_of_a_wrong_clock_does_not_choose_the_shift(run, tmp_path, player, country, now_ms):
    text = lines_of(player, country, now_ms - 3_650 * DAY_MS) + start(player, country, "2099-01-01T00:00:00Z")
    (tmp_path / "dump").write_text(text)
    status, summary = run("dump", "--rebase")
    assert (status, summary["stored"], summary["discarded"], summary["rejected"]) == (1, 10, 0, 1)
    assert "in the future" in (tmp_path / "dump.rejects.jsonl").read_text()
    assert stored(player, country, now_ms) == (5, 5)
    assert 0 <= summary["shift_ms"] - 3_650 * DAY_MS < 60_000
    assert summary["warnings"] == []


def test_events_that_lie_years_apart_are_not_lost_in_silence(run, tmp_path, player, country):
    years = ["2016-12-02", "2016-12-03", "2019-01-01"]
    (tmp_path / "dump").write_text("".join(start(player, country, f"{day}T12:00:00") for day in years))
    status, summary = run("dump", "--rebase", "--dry-run")
    assert (status, summary["would_be_stored"], summary["discarded"]) == (0, 1, 2)
    [warning] = summary["warnings"]
    assert warning.startswith("2 of the 3 lines of dump are not stored: 2 are too old or erased, 0 are rejected.")
    assert warning.endswith("give each year a file, and rebase each.")


def test_without_any_event_up_to_now_nothing_is_moved(tmp_path, player, country):
    (tmp_path / "dump").write_text(start(player, country, "2099-01-01T00:00:00Z") + '{"event":"end","player_id":"p"}\n')
    ended = manage("import_sessions", "dump", "--rebase", "--dry-run", "--json", "--workers", "1", cwd=tmp_path)
    assert "No event has a time up to now: nothing is moved." in ended.stderr
    assert json.loads(ended.stdout)["shift_ms"] == 0


def test_times_can_be_mapped_back_by_the_shift_that_is_printed(tmp_path, player, country, now_ms):
    text = OLD.replace("0a2d12a1a7e145de8bae44c0c6e06629", player).replace('"FI"', f'"{country}"')
    (tmp_path / "dump").write_text(text)
    ended = manage("import_sessions", "dump", "--rebase", "--json", "--workers", "1", cwd=tmp_path)
    [seconds] = re.findall(r"All events are moved by \+\d+ days [\d:.]+ \(\+([\d.]+) s\)", ended.stderr)
    [session], _ = completed_sessions(player_id=player, now_ms=now_ms + 60_000, limit=10)
    shift_ms = round(float(seconds) * 1000)
    assert json.loads(ended.stdout)["shift_ms"] == shift_ms
    assert session.ended_ms - shift_ms == parse_timestamp("2016-12-02T13:00:00")
    assert "of 2016-12-02T13:00:00.000Z and becomes one of " + format_timestamp(session.ended_ms) in ended.stderr


def test_a_resumed_import_prints_the_shift_of_before(tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms - 500 * DAY_MS))
    begun = Checkpoint([Dump(str(tmp_path / "dump")).identity()], now_ms, 500 * DAY_MS, line=1)
    (tmp_path / "dump.checkpoint").write_text(begun.text())
    ended = manage("import_sessions", "dump", "--resume", "--dry-run", "--workers", "1", cwd=tmp_path)
    assert "All events are moved by +500 days 00:00:00.000 (+43200000.000 s), as before." in ended.stderr


@pytest.mark.parametrize(
    ("shift_ms", "said"),
    [
        (0, "+0 days 00:00:00.000 (+0.000 s)"),
        (3_650 * DAY_MS + 3_723_456, "+3650 days 01:02:03.456 (+315363723.456 s)"),
        (-1_001, "-0 days 00:00:01.001 (-1.001 s)"),
    ],
)
def test_a_shift_is_printed_to_the_millisecond(shift_ms, said):
    assert shift_in_words(shift_ms) == said


def test_the_newest_event_is_the_last_one_up_to_a_moment(player, country):
    moments = ["2016-12-02T12:00:00Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:00.001Z"]
    lines = [start(player, country, ts).encode() for ts in moments]
    assert newest_timestamp(lines, latest_ms=parse_timestamp(moments[1])) == parse_timestamp(moments[1])
    assert newest_timestamp(lines, latest_ms=0) is None
