"""HTTP and the import read a line alike: what is absent, what is refused, and why."""

import json

import pytest

from events.domain import Event
from events.importing.line_validator import LineValidator

EVENTS = "/api/v1/events/"
START = {"event": "start", "player_id": "both_doors", "country": "FI"}
END = {"event": "end", "player_id": "both_doors"}
NIL = "00000000-0000-0000-0000-000000000000"


def reason_of(reply) -> str | None:
    """Why the body was refused, in the words of the import."""
    if reply.status_code == 201:
        return None
    return "; ".join(f"{error['pointer'].lstrip('/')}: {error['detail']}" for error in reply.json()["errors"])


@pytest.mark.parametrize(
    ("event", "refused"),
    [
        ({**END, "session_id": None, "ts": None, "country": None}, None),
        ({**START, "session_id": None, "ts": None}, None),
        ({**START, "country": None}, "country: A start needs a country."),
        ({**START, "event": None}, "event: This field may not be null."),
        ({**START, "session_id": NIL}, "session_id: This is the nil UUID"),
        ({**END, "session_id": NIL.replace("-", "")}, "session_id: This is the nil UUID"),
        ({**END, "ts": 1795946400000}, "ts: Send an ISO 8601 date and time as a string"),
        ({**END, "ts": "2026-11-29T24:00:00Z"}, "ts: Send an ISO 8601 date and time as a string"),
    ],
)
def test_entry_points_say_the_same(api, now_ms, event, refused):
    reply = api.post(EVENTS, event, format="json")
    imported = LineValidator(now_ms=now_ms, shift_ms=0).event(json.dumps(event).encode())
    assert reason_of(reply) == (None if isinstance(imported, Event) else imported)
    assert isinstance(imported, Event) if refused is None else str(imported).startswith(refused)
