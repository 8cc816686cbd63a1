"""Players with many sessions, for the benchmarks. Wants Django's settings set up, and the tables there."""

import uuid

from events.domain import HOUR_MS, MINUTE_MS, Event
from events.rows import player_rows
from store import cassandra

SESSIONS_PER_BATCH = 50


def fill_player(player: str, size: int, *, now_ms: int) -> None:
    """Sessions of a minute, one after the other over the last 300 days."""
    step_ms = 300 * 24 * HOUR_MS // size
    for first in range(0, size, SESSIONS_PER_BATCH):
        events = []
        for number in range(first, min(first + SESSIONS_PER_BATCH, size)):
            session, ended_ms = uuid.uuid4(), now_ms - number * step_ms
            events.append(Event("start", player, session, ended_ms - MINUTE_MS, "US"))
            events.append(Event("end", player, session, ended_ms, None))
        cassandra.send_batch(player_rows(events, now_ms=now_ms), seconds=30).wait()
