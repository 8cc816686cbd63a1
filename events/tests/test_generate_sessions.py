"""manage.py generate_sessions"""

import bz2
import gzip
import json
from collections import Counter
from itertools import islice

import pytest
from django.core.management import CommandError, call_command

from conftest import manage
from events.domain import DAY_MS, HOUR_MS, parse_timestamp
from events.importing.generator import country_weights, generated_lines

NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize("events", [1, 2, 1_000, 20_000])
def test_as_many_events_are_made_as_are_asked_for_and_only_starts_have_a_country(events):
    lines = [json.loads(line) for line in generated_lines(events=events, days=30, seed=1, now_ms=NOW_MS)]
    assert len(lines) == events
    assert all(("country" in line) == (line["event"] == "start") for line in lines)


def test_the_same_seed_gives_the_same_events():
    def some(seed: int) -> list[str]:
        return list(generated_lines(events=500, days=1, seed=seed, now_ms=NOW_MS))

    assert some(1) == some(1) != some(2)


def test_it_has_what_real_dumps_have():
    lines = [json.loads(line) for line in generated_lines(events=20_000, days=30, seed=3, now_ms=NOW_MS)]
    starts = {line["session_id"]: number for number, line in enumerate(lines) if line["event"] == "start"}
    ends = {line["session_id"]: number for number, line in enumerate(lines) if line["event"] == "end"}
    countries = Counter(line["country"] for line in lines if line["event"] == "start")
    players = Counter(line["player_id"] for line in lines if line["event"] == "start")
    assert 0.27 < countries.most_common(1)[0][1] / len(starts) < 0.33
    assert len(countries) > 30
    assert players.most_common(1)[0][1] > 5
    assert 0.02 < 1 - len(ends) / len(starts) < 0.08
    assert sum(ends[session] < starts[session] for session in ends if session in starts) > 50


def test_people_play_in_the_evening():
    lines = [json.loads(line) for line in generated_lines(events=20_000, days=30, seed=3, now_ms=NOW_MS)]
    starts = [line["ts"] for line in lines if line["event"] == "start"]
    of_hour = Counter(ts[11:13] for ts in starts[: len(starts) * 9 // 10])
    assert 2.2 < of_hour["19"] / of_hour["07"] < 4
    assert starts == sorted(starts)


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_sessions_start_until_now_whatever_the_time_of_day(hour):
    now_ms = NOW_MS // DAY_MS * DAY_MS + hour * HOUR_MS
    lines = [json.loads(line) for line in generated_lines(events=20_000, days=10, seed=3, now_ms=now_ms)]
    starts = [parse_timestamp(line["ts"]) for line in lines if line["event"] == "start"]
    assert now_ms - 10 * DAY_MS <= min(starts)
    assert max(starts) <= now_ms
    for edge in (now_ms - 10 * DAY_MS, now_ms - HOUR_MS):
        assert 15 < sum(edge <= ts <= edge + HOUR_MS for ts in starts) < 150


def test_the_shares_add_up():
    assert abs(sum(country_weights()) - 1) < 1e-9


def test_it_needs_no_memory():
    endless = generated_lines(events=10**12, days=10_000, seed=1, now_ms=NOW_MS)
    assert len(list(islice(endless, 100))) == 100


def test_the_command_writes_lines():
    ended = manage("generate_sessions", "--events", "10", "--days", "0.5")
    assert len(ended.stdout.splitlines()) == 10
    wrong = manage("generate_sessions", "--events", "0")
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
    assert "is not a number above 0" in wrong.stderr


@pytest.mark.parametrize("days", ["nan", "inf", "0", "800000", "many"])
def test_a_wrong_number_of_days_is_refused(days):
    with pytest.raises(CommandError, match="argument --days: "):
        call_command("generate_sessions", "--events", "10", "--days", days)


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("x.jsonl", open),
        ("x", open),
        ("x.jsonl.bz2", bz2.open),
        ("X.BZ2", bz2.open),
        ("x.jsonl.gz", gzip.open),
        ("x.Gz", gzip.open),
    ],
)
def test_a_file_is_packed_as_its_name_says(tmp_path, name, opened):
    call_command("generate_sessions", "--events", "10", "--output", str(tmp_path / name))
    with opened(tmp_path / name, "rt") as file:
        assert [json.loads(line)["event"] in ("start", "end") for line in file] == [True] * 10


@pytest.mark.parametrize("name", ["x.zip", "x.jsonl.ZST", "x.tar", "x.tgz"])
def test_a_packing_that_it_does_not_write_is_refused(tmp_path, name):
    with pytest.raises(CommandError, match=r"name it \.bz2 or \.gz to have it packed"):
        call_command("generate_sessions", "--events", "10", "--output", str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []
