"""Any shuffling, repetition and re-batching of an event stream gives equal reports and equal rows."""

import random
import time
import uuid

from hypothesis import given, settings
from hypothesis import strategies as st

from events.domain import HOUR_MS, Event
from events.services import record_events
from reports.player_sessions import completed_sessions
from reports.starts import report_window, starts_of_country
from store import cassandra
from tests.truth import starts_by_hour


def stream(chance: random.Random, player: str, country: str, now_ms: int) -> list[Event]:
    sessions = [uuid.UUID(int=chance.getrandbits(128), version=4) for _ in range(8)]
    events = []
    for _ in range(25):
        kind = chance.choice(["start", "end"])
        ts_ms = now_ms - chance.choice([0, 1, HOUR_MS, 30 * HOUR_MS]) - chance.randrange(3)
        events.append(Event(kind, player, chance.choice(sessions), ts_ms, country if kind == "start" else None))
    return events


def reports_of(player: str, country: str, now_ms: int) -> tuple:
    window = report_window(hours=48, as_of_ms=now_ms, now_ms=now_ms)
    starts, page, _ = starts_of_country(country=country, window=window, now_ms=now_ms, limit=100)
    completed, _ = completed_sessions(player_id=player, now_ms=now_ms, limit=100)
    rows = cassandra.execute(
        "SELECT session_id, started_at, ended_at, WRITETIME(started_at), WRITETIME(ended_at) "
        "FROM {keyspace}.session_by_player_id WHERE player_id = ?",
        (player,),
    )
    return (
        starts,
        [(start.ts_ms, start.session_id) for start in page],
        starts_by_hour(window=window, now_ms=now_ms, country=country),
        [one._replace(country=one.country and "the country") for one in completed],
        rows,
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_shuffled_and_repeated_stream_gives_equal_reports_and_equal_rows(new_country, seed: int) -> None:
    chance = random.Random(seed)
    now_ms = 1_000 * (time.time_ns() // 1_000_000_000)
    country_once, country_often = new_country(), new_country()
    once, often = (f"order_{uuid.uuid4().hex}" for _ in range(2))
    events = stream(random.Random(seed), once, country_once, now_ms)
    record_events(events, now_ms=now_ms)
    replayed = stream(random.Random(seed), often, country_often, now_ms) * 2
    chance.shuffle(replayed)
    while replayed:
        size = chance.randint(1, 10)
        record_events(replayed[:size], now_ms=now_ms)
        replayed = replayed[size:]
    assert reports_of(once, country_once, now_ms) == reports_of(often, country_often, now_ms)
