"""Dumps for the tests of the import, and what the store then has."""

import json
import uuid

from events.domain import format_timestamp
from reports.player_sessions import completed_sessions
from reports.starts import report_window, starts_of_country

OLD = (
    '{"event":"start","country":"FI","player_id":"0a2d12a1a7e145de8bae44c0c6e06629",'
    '"session_id":"4a0c43c9-c43a-42ff-ba55-67563dfa35d4","ts":"2016-12-02T12:48:05.520022"}\n'
    '{"event":"end","player_id":"0a2d12a1a7e145de8bae44c0c6e06629",'
    '"session_id":"4a0c43c9-c43a-42ff-ba55-67563dfa35d4","ts":"2016-12-02T13:00:00"}\n'
)


def lines_of(player: str, country: str, now_ms: int, sessions: int = 5) -> str:
    lines = []
    for number in range(sessions):
        session, ts = str(uuid.uuid4()), format_timestamp(now_ms - number * 1_000)
        common = {"player_id": player, "session_id": session, "ts": ts}
        lines += [{"event": "end", **common}, {"event": "start", "country": country, **common}]
    return "".join(json.dumps(line) + "\n" for line in lines)


def stored(player: str, country: str, now_ms: int) -> tuple[int, int]:
    """Starts of the country, and completed sessions of the player."""
    now_ms += 60_000
    window = report_window(hours=24, as_of_ms=now_ms, now_ms=now_ms)
    starts, _, _ = starts_of_country(country=country, window=window, now_ms=now_ms, limit=10)
    return starts, len(completed_sessions(player_id=player, now_ms=now_ms, limit=100)[0])
