"""What ``make load`` sends, and how it validates the replies."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from conftest import PROJECT, free_port
from locustfiles.sessions import Batch, GameSessions

# In a process of its own: locust changes the sockets and threads of the one that imports it.
VALIDATE = """
import json, sys
from locust.env import Environment
from locustfiles.latency import validate

environment = Environment()
for name, milliseconds, fails in json.loads(sys.argv[1]):
    environment.stats.log_request("GET", name, milliseconds, 0)
    if fails:
        environment.stats.log_error("GET", name, "503")
validate(environment)
sys.exit(environment.process_exit_code)
"""
KEPT, BROKEN = 0, 1
# An address, milliseconds, and whether the reply was a failure.
QUICK, SLOW, FAILED, SLOW_ELSEWHERE = ("/", 20, False), ("/", 600, False), ("/", 20, True), ("/elsewhere", 600, False)


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def sent(batches: int, *, now: datetime) -> Iterator[tuple[Batch, bool]]:
    """What a server sends, and whether it had sent that before."""
    sessions = GameSessions(random.Random(1))
    return (sessions.next_batch(now) for _ in range(batches))


def new_events(batches: int) -> list[dict[str, str]]:
    return [event for batch, again in sent(batches, now=NOW) if not again for event in batch]


def test_a_tenth_of_the_starts_come_minutes_to_a_day_late() -> None:
    starts = [event for event in new_events(2_000) if event["event"] == "start"]
    late_by = [NOW - datetime.fromisoformat(start["ts"]) for start in starts]
    late = [one for one in late_by if one]
    assert 0.08 < len(late) / len(starts) < 0.12
    assert timedelta(minutes=2) <= min(late)
    assert max(late) <= timedelta(days=1)
    by_hours = sum(1 for one in late if one > timedelta(hours=1))
    assert 0.3 < by_hours / len(late) < 0.7


def test_a_few_batches_come_again_as_they_were() -> None:
    batches = list(sent(2_000, now=NOW))
    repeats = [number for number, (_, again) in enumerate(batches) if again]
    assert 0.02 < len(repeats) / len(batches) < 0.04
    assert all(batches[number][0] == batches[number - 1][0] for number in repeats)


def test_half_of_the_events_are_ends_and_a_few_of_these_have_no_start() -> None:
    events = new_events(2_000)
    started = {event["session_id"] for event in events if event["event"] == "start"}
    ends = [event["session_id"] for event in events if event["event"] == "end"]
    assert 0.45 < len(ends) / len(events) < 0.5
    assert len(set(ends)) == len(ends)
    lonely = [session for session in ends if session not in started]
    assert 0.02 < len(lonely) / len(ends) < 0.04


def test_the_service_stores_all_that_it_sends(api: APIClient) -> None:
    for batch, _ in sent(50, now=datetime.now(UTC)):
        reply = api.post("/api/v1/events/", batch, format="json")
        assert (reply.status_code, reply.json()["stored"]) == (201, len(batch))


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("requests", "validated"),
    [
        ([QUICK] * 19 + [SLOW], KEPT),
        ([QUICK] * 8 + [SLOW] * 2, BROKEN),
        ([QUICK] * 90 + [SLOW_ELSEWHERE], BROKEN),  # every address by itself
        ([QUICK] * 99 + [FAILED], BROKEN),
        ([], BROKEN),
    ],
)
def test_nine_of_ten_replies_of_every_address_are_quick_and_none_fails(
    requests: list[tuple[str, int, bool]], validated: int
) -> None:
    ended = python("-c", VALIDATE, json.dumps(requests))
    assert ended.returncode == validated, ended.stderr
    assert ("Kept: " if validated == KEPT else "BROKEN: ") in ended.stdout


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many"])
@pytest.mark.parametrize("name", ["LOAD_USERS", "LOAD_SECONDS"])
def test_a_wrong_number_is_refused(name: str, number: str) -> None:
    ended = python("-m", "locustfiles", **{name: number})
    assert (ended.returncode, ended.stderr) == (1, f"{name} is '{number}': write a whole number, at least 1.\n")


def test_a_service_that_is_not_there_breaks_the_promise(tmp_path) -> None:
    report = tmp_path / "load.html"
    ended = python(
        "-m",
        "locustfiles",
        HOST="127.0.0.1",
        PORT=str(free_port()),
        LOAD_SECONDS="2",
        LOAD_USERS="2",
        LOAD_REPORT=str(report),
    )
    assert ended.returncode == BROKEN
    assert "BROKEN: " in ended.stdout
    assert "<html" in report.read_text()
