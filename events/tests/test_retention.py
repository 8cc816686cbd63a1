"""Nothing older than the retention is stored, however it arrives; what is stored expires on time."""

import time
import uuid

import pytest

from events.counting.hours import bring_up_to_date, count_starts
from events.domain import DAY_MS, Event, Window, day_of
from events.services import record_events
from reports.player_sessions import completed_sessions
from reports.starts import report_window, starts_of_country
from store import cassandra

RETENTION_MS = 31_557_600_000


def start(player: str, country: str, ts_ms: int) -> Event:
    return Event("start", player, uuid.uuid4(), ts_ms, country)


def ttls_of(player: str) -> list[int]:
    rows = cassandra.execute(
        "SELECT TTL(started_at), TTL(country) FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,)
    )
    return [ttl for row in rows for ttl in row]


def test_a_new_event_lives_one_retention(player, country, now_ms):
    assert record_events([start(player, country, now_ms)], now_ms=now_ms) == [True]
    assert all(31_557_600 - 5 <= ttl <= 31_557_600 for ttl in ttls_of(player))


def test_an_event_that_comes_late_lives_for_what_is_left(player, country, now_ms):
    assert record_events([start(player, country, now_ms - RETENTION_MS + 100_000)], now_ms=now_ms) == [True]
    ttls = ttls_of(player)
    passed = (time.time_ns() // 1_000_000 - now_ms) // 1_000 + 2
    assert len(ttls) == 2
    assert all(100 - passed <= ttl <= 100 for ttl in ttls)


def test_one_second_inside_is_stored_and_one_outside_discarded(player, country, now_ms):
    inside = start(player, country, now_ms - RETENTION_MS + 1_000)
    outside = start(player, country, now_ms - RETENTION_MS - 1_000)
    edge = start(player, country, now_ms - RETENTION_MS)
    assert record_events([inside, outside, edge], now_ms=now_ms) == [True, False, False]


def test_every_row_of_an_event_has_its_time_to_live(player, country, now_ms):
    session = uuid.uuid4()
    ts_ms = now_ms - 7_200_000
    events = [Event("start", player, session, ts_ms, country), Event("end", player, session, ts_ms + 1, None)]
    record_events(events, now_ms=now_ms)
    hour_ms = ts_ms - ts_ms % 3_600_000
    day_ms = ts_ms - ts_ms % 86_400_000
    queries = [
        (
            "SELECT TTL(player_id) FROM {keyspace}.session_by_country WHERE country = ? AND hour = ? AND shard = 0",
            (country, hour_ms),
        ),
        ("SELECT TTL(ended_at) FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,)),
        (
            "SELECT TTL(shards) FROM {keyspace}.country_hour WHERE day = ? AND hour = ? AND country = ?",
            (day_ms, hour_ms, country),
        ),
    ]
    for cql, values in queries:
        [(ttl,)] = cassandra.execute(cql, values)
        assert 31_557_600 - 7_210 <= ttl <= 31_557_600


@pytest.mark.parametrize("late_seconds", [0, 10])
def test_with_a_short_retention_events_expire_on_time(settings, player, country, late_seconds):
    settings.RETENTION_SECONDS = 6 + late_seconds
    now_ms = time.time_ns() // 1_000_000
    session = uuid.uuid4()
    ts_ms = now_ms - late_seconds * 1_000
    events = [Event("start", player, session, ts_ms, country), Event("end", player, session, ts_ms, None)]
    assert record_events(events, now_ms=now_ms) == [True, True]

    def seen() -> tuple[int, int]:
        now = time.time_ns() // 1_000_000
        window = report_window(hours=1, as_of_ms=now, now_ms=now)
        _, page, _ = starts_of_country(country=country, window=window, now_ms=now, limit=10)
        return len(page), len(completed_sessions(player_id=player, now_ms=now, limit=10)[0])

    assert seen() == (1, 1)
    left = ts_ms + settings.RETENTION_SECONDS * 1_000 - time.time_ns() // 1_000_000
    time.sleep(max(left / 1000, 0) + 1.1)
    assert seen() == (0, 0)
    for table in ("session_by_player_id", "completed_session_by_player_id"):
        assert cassandra.execute(f"SELECT * FROM {{keyspace}}.{table} WHERE player_id = ?", (player,)) == []


def test_stored_counts_have_a_time_to_live_too(country, now_ms):
    day = day_of(now_ms) - 2 * DAY_MS
    for number in range(3):  # late, so they leave registers
        record_events([start("anybody", country, day + number)], now_ms=now_ms)
    bring_up_to_date([day], now_ms=now_ms)
    window = Window(day + 1, day + DAY_MS - 1)  # the first hour is cut: its minutes are stored
    counts = count_starts(window=window, now_ms=now_ms, deadline=cassandra.deadline_from_now())
    assert sum(counts.starts[country]) == 1
    columns = ("minutes", "last_slot", "day_hours", "day_last_slot")
    selected = ", ".join(f"TTL({column})" for column in columns)
    [ttls] = cassandra.execute(
        f"SELECT {selected} FROM {{keyspace}}.start_count WHERE day = ? AND hour = ? AND country = ?",
        (day, day, country),
    )
    least, most = 31_557_600 - 3 * 86_400, 31_557_600
    assert all(least <= ttl <= most for ttl in ttls), dict(zip(columns, ttls, strict=True))


def test_the_api_says_what_it_discarded(api, player):
    event = {"event": "end", "player_id": player, "ts": "2016-12-02T12:48:05.520022"}
    reply = api.post("/api/v1/events/", [event], format="json")
    assert reply.status_code == 201
    assert (reply.data["stored"], reply.data["discarded"]) == (0, 1)
    assert reply.data["results"][0]["status"] == "discarded"
