"""domain.plain_event accepts nothing that the serializer refuses, and gives the same event."""

import uuid

from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from events import domain
from events.domain import Event
from events.serializers import EventSerializer

NOW_MS = 1_790_000_000_000
LATEST_MS = NOW_MS + 300_000
SESSION = uuid.UUID("4a0c43c9-c43a-42ff-ba55-67563dfa35d4")

odd = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=70), st.lists(st.integers()))
kinds = st.sampled_from(["start", "end", "start ", "END", ""]) | odd
players = st.from_regex(r"[A-Za-z0-9_.:@-]{1,66}", fullmatch=True) | odd
sessions = st.uuids().map(str) | st.uuids().map(lambda value: value.hex) | st.from_regex(r"[0-9a-f-]{30,38}") | odd
stamps = (
    st.datetimes().map(lambda value: value.isoformat())
    | st.from_regex(r"20[12]\d-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d(:[0-6]\d([.,]\d{1,10})?)?(Z|[+-][0-2]\d:?[0-6]\d)?")
    | odd
)
countries = st.from_regex(r"[A-Za-z]{1,3}", fullmatch=True) | odd
events = st.fixed_dictionaries(
    {}, optional={"event": kinds, "player_id": players, "session_id": sessions, "ts": stamps, "country": countries}
)
good = st.fixed_dictionaries(
    {"event": st.sampled_from(["start", "end"]), "player_id": st.from_regex(r"[A-Za-z0-9_.:@-]{1,64}", fullmatch=True)},
    optional={"session_id": sessions, "ts": stamps, "country": countries},
)


@settings(max_examples=3_000, deadline=None)
@given(events | good | odd)
def test_it_agrees_with_the_serializer(item: object) -> None:
    options = {"now_ms": NOW_MS, "latest_ms": LATEST_MS, "new_session_id": lambda: SESSION}
    plain = domain.plain_event(item, **options)
    judged = EventSerializer().judge_thoroughly(item, **options)
    if plain is not None:
        assert plain == judged
    assert isinstance(judged, Event | ValidationError)


def test_it_accepts_what_games_send() -> None:
    item = {
        "event": "start",
        "country": "fi",
        "player_id": "0a2d12a1a7e145de8bae44c0c6e06629",
        "session_id": "4a0c43c9-c43a-42ff-ba55-67563dfa35d4",
        "ts": "2016-12-02T12:48:05.520022",
    }
    accepted = domain.plain_event(item, now_ms=NOW_MS, latest_ms=LATEST_MS, new_session_id=uuid.uuid4)
    assert accepted == Event("start", item["player_id"], SESSION, 1_480_682_885_520, "FI")
