"""The fast decoder of both entry points: well-formed events, straight from their JSON.

It may accept, never refuse: what it does not accept goes to the serializer, which has the last word and the error
texts. Whatever it accepts the serializer accepts with an equal event: events/tests/test_decoding.py proves it.
A serializer takes 30 µs for an event, this 3.
"""

import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from rest_framework.utils import json

from events import domain
from events.clock import latest_moment_ms
from events.domain import Event
from events.validators import MAX_BATCH_SIZE, MIN_BATCH_SIZE

# Python refuses to read longer ones. No field takes them, but one that is ignored may have them.
MOST_DIGITS = 4_000


class WellFormedEvent(msgspec.Struct, gc=False):
    """The JSON of one event; unknown fields are ignored, and null is absent."""

    event: Literal["start", "end"]
    player_id: Annotated[str, msgspec.Meta(pattern=domain.PLAYER_ID.pattern)]
    session_id: uuid.UUID | None = None
    ts: str | None = None
    country: Annotated[str, msgspec.Meta(pattern=domain.COUNTRY.pattern)] | None = None


WellFormedBatch = Annotated[list[WellFormedEvent], msgspec.Meta(min_length=MIN_BATCH_SIZE, max_length=MAX_BATCH_SIZE)]

_decode_event = msgspec.json.Decoder(WellFormedEvent).decode
_decode_events = msgspec.json.Decoder(WellFormedEvent | WellFormedBatch).decode


class FastDecoder:
    """Reads events as if received at ``now_ms``; a ``ts`` is at most ``latest_ms``, or what the API takes then.

    >>> decoder = FastDecoder(now_ms=domain.parse_timestamp("2026-11-30T06:30"))
    >>> [end] = decoder.events(b'{"event": "end", "player_id": "p1", "ts": "2026-11-30T06:29:59"}')
    >>> end.kind, domain.format_timestamp(end.ts_ms)
    ('end', '2026-11-30T06:29:59.000Z')
    >>> decoder.events(b'{"event": "start", "player_id": "p1"}') is None  # the serializer says: a start needs a country
    True
    """

    def __init__(self, *, now_ms: int, latest_ms: int | None = None) -> None:
        self._now_ms = now_ms
        self._latest_ms = latest_moment_ms(now_ms) if latest_ms is None else latest_ms

    def event(self, text: bytes, *, new_session_id: Callable[[], uuid.UUID] = uuid.uuid4) -> Event | None:
        """Return the event that ``text`` is; None: it is not well-formed, or only the serializer can tell."""
        # The decoder does not look into fields that it skips: bad UTF-8 would pass.
        if not text.isascii():
            return None
        try:
            return self._event(_decode_event(text), new_session_id)
        except (ValueError, OverflowError, RecursionError):
            return None

    def events(self, text: bytes) -> list[Event] | None:
        """Return the 1 to 10 events of ``text``, an array or one object; None likewise."""
        if not text.isascii():
            return None
        try:
            plain = _decode_events(text)
            batch = plain if isinstance(plain, list) else [plain]
            return [self._event(one, uuid.uuid4) for one in batch]
        except (ValueError, OverflowError, RecursionError):
            return None

    def _event(self, plain: WellFormedEvent, new_session_id: Callable[[], uuid.UUID]) -> Event:
        ts, session_id, country = plain.ts, plain.session_id, plain.country
        ts_ms = self._now_ms if ts is None else domain.parse_timestamp(ts)
        if ts_ms > self._latest_ms or (country is None and plain.event == domain.START):
            raise ValueError("not well-formed")
        if session_id is None:
            session_id = new_session_id()
        elif not session_id.int:  # the nil UUID; to compare UUIDs takes three times as long
            raise ValueError("nobody's session")
        return Event(
            plain.event,
            plain.player_id,
            session_id,
            ts_ms,
            None if country is None else country.upper(),
        )


def load_json(text: str) -> Any:
    """Return what the text says; ValueError when it is not JSON, as NaN is not."""
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)
