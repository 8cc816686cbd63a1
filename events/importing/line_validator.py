"""From a line of a dump to an event, by the same rulebook as the API."""

import uuid
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

from rest_framework.exceptions import ValidationError

from events import domain
from events.clock import latest_moment_ms, oldest_kept_ms, wall_clock_ms
from events.decoding import FastDecoder, load_json
from events.domain import Event
from events.importing.dump import MOST_LINE_BYTES
from events.importing.lines import NAMESPACE, Reject, ValidatedLines
from events.serializers import EventSerializer
from web.problems import field_errors

LATEST_MS = domain.parse_timestamp("9999-12-31T00:00")
# A reject tells what the line was; nobody needs all of a runaway line.
MOST_INPUT_CHARACTERS = 1_000


class LineValidator:
    """Validates lines; every event is moved by ``shift_ms`` afterwards.

    Those without ``ts`` are as if received at ``now_ms``, when the import began. What is too old or in the future is
    decided by the clock as it goes on: an import may take hours, or be resumed after days.
    """

    def __init__(self, *, now_ms: int, shift_ms: int) -> None:
        self.now_ms = now_ms
        self.shift_ms = shift_ms
        self._received_ms = now_ms - shift_ms
        self._serializer = EventSerializer()
        self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        present_ms = max(self.now_ms, wall_clock_ms())
        self._oldest_ms = oldest_kept_ms(present_ms)
        self._latest_ms = latest_moment_ms(present_ms) - self.shift_ms
        self._decoder = FastDecoder(now_ms=self._received_ms, latest_ms=self._latest_ms)

    def validate(self, lines: Iterable[bytes], *, first_line: int, dump: str) -> ValidatedLines:
        """Return the events young enough to keep, the number of those too old, and the lines that are no events.

        ``dump`` is the identity of the dump that the lines are of.
        """
        validated = ValidatedLines()
        self._look_at_the_clock()
        for number, line in enumerate(lines, start=first_line):
            if not line or line.isspace():
                continue
            validated.read += 1
            event = self.event(line, number, dump)
            if isinstance(event, str):
                text = line[:MOST_INPUT_CHARACTERS].decode(errors="replace").rstrip("\r")
                validated.rejects.append(Reject(number, event, text))
                continue
            if self.shift_ms:
                event = event._replace(ts_ms=event.ts_ms + self.shift_ms)
            if event.ts_ms < self._oldest_ms:
                validated.discarded += 1
            else:
                validated.events.append(event)
        return validated

    def event(self, line: bytes, number: int = 0, dump: str = "") -> Event | str:
        """Return the event of a line, not moved, or the reason why it is none."""
        if len(line) > MOST_LINE_BYTES:
            return f"longer than {MOST_LINE_BYTES} bytes"
        new_session_id = partial(_session_id, line, number, dump)
        return self._decoder.event(line, new_session_id=new_session_id) or self._validated(line, new_session_id)

    def _validated(self, line: bytes, new_session_id: Callable[[], uuid.UUID]) -> Event | str:
        """Return the same by the serializer."""
        try:
            item = load_json(line.decode())
        except UnicodeDecodeError:
            return "not UTF-8"
        except (ValueError, RecursionError):
            return "not JSON"
        event = self._serializer.to_event(
            item, now_ms=self._received_ms, latest_ms=self._latest_ms, new_session_id=new_session_id
        )
        if isinstance(event, ValidationError):
            return "; ".join(_message(error) for error in field_errors(event.detail))
        return event


def _session_id(line: bytes, number: int, dump: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{dump}:{number}:{line.hex()}")


def newest_timestamp(lines: Iterable[bytes], *, latest_ms: int) -> int | None:
    """Return the latest ``ts`` of the lines that are events, up to ``latest_ms``; None: there is none."""
    events = (_any_time().event(line) for line in lines)
    return max((event.ts_ms for event in events if isinstance(event, Event) and event.ts_ms <= latest_ms), default=None)


@cache
def _any_time() -> LineValidator:
    """Return moments to which no event is of the future, and one without ``ts`` is of LATEST_MS."""
    return LineValidator(now_ms=LATEST_MS, shift_ms=0)


def _message(error: dict[str, Any]) -> str:
    return f"{error['pointer'].lstrip('/')}: {error['detail']}" if error["pointer"] else str(error["detail"])
