"""manage.py demo"""

import os
import re
import socket
import uuid

import pytest

from conftest import drop_keyspace, manage
from events.counting.hours import StartCounts
from events.domain import HOUR_MS, hour_of
from events.management.commands.demo import empty_days
from store import cassandra

# Two and a half hours into a day.
NOW_MS = 1_790_000_000_000 // 86_400_000 * 86_400_000 + 9_000_000


@pytest.mark.parametrize(
    ("starts", "empty_hours"),
    [
        ([0] * 721, 719.5),  # the first whole hour of the month, and all since
        ([0] + [100] * 720, 0),
        ([5] + [100] * 719 + [3], 0.5),  # the present hour
        ([100] * 481 + [0] * 238 + [900] * 2, 239.5),  # ten days ago, and a load test today
    ],
)
def test_a_second_demo_fills_the_hours_since_the_first(starts, empty_hours):
    hours = range(hour_of(NOW_MS) - 720 * HOUR_MS, hour_of(NOW_MS) + 1, HOUR_MS)
    month = StartCounts(hours, {"FI": starts})
    assert empty_days(month, now_ms=NOW_MS, events=144_000) * 24 == pytest.approx(empty_hours)


def test_the_demo_makes_sessions_once_and_serves():
    """As far as to the port, which is taken here."""
    keyspace = f"demo_{uuid.uuid4().hex[:8]}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ours = {
            "CASSANDRA_KEYSPACE": keyspace,
            "PORT": str(port),
            "DJANGO_SETTINGS_MODULE": "sessions_project.settings",
        }
        try:
            sessions = []
            # The second time none are made, or a few of the moments since.
            for said_first in (
                r"Generating \d+,\d+ events",
                r"The sessions of an earlier demo are there|Generating \d+ ",
            ):
                ended = manage("demo", "--events", "60000", env={**os.environ, **ours})
                assert re.match(rf"Creating the tables \.\.\.\n({said_first})", ended.stdout)
                assert f"http://127.0.0.1:{port}/api/v1/docs/" in ended.stdout
                assert ended.stderr.endswith(f"listens on 127.0.0.1:{port}. Stop it, or choose another PORT.\n")
                [(number,)] = cassandra.execute(f"SELECT COUNT(*) FROM {keyspace}.session_by_player_id", ())
                sessions.append(number)
            assert 30_000 < sessions[0] <= sessions[1] < 31_500  # some are open
        finally:
            drop_keyspace(keyspace)


def test_the_demo_is_refused_in_production():
    ours = {"DJANGO_SETTINGS_MODULE": "sessions_project.settings", "ENVIRONMENT": "production"}
    ended = manage(
        "demo", env={**os.environ, **ours, "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": "example.org", "AUTH": "keys"}
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith("nobody could take the sample sessions out again.\n")
