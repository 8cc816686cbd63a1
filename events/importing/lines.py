"""The results of validating the lines of a dump, apart from the validator, which imports the framework."""

import uuid
from dataclasses import dataclass, field

from events.domain import Event

# Session ids of lines that have none: made from the dump, the line and its number, so that a repeated import writes the
# same rows, and other dumps write others.
NAMESPACE = uuid.UUID("6b1f4f0c-3f0a-5a3e-9c55-0d9f3b0a7c11")


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is no event."""

    line: int
    reason: str
    input: str


@dataclass(slots=True)
class ValidatedLines:
    """The results of some lines. ``read`` leaves out empty lines."""

    read: int = 0
    discarded: int = 0
    events: list[Event] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def discard_others(self, events: list[Event]) -> None:
        """Discard all events but these of them."""
        self.discarded += len(self.events) - len(events)
        self.events = events
