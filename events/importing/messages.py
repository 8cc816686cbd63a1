"""The messages between the coordinator of an import and its workers."""

from collections.abc import Callable
from dataclasses import dataclass

from events.importing.jobs import Job, JobEnd
from events.importing.lines import Reject


@dataclass(frozen=True, slots=True)
class Precompute:
    """Have the counts of these days stored, so that no report has to take them."""

    days: list[int]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can write."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A record for the log, which the coordinator writes: several writers would tear its progress bar."""

    level: int
    logger: str
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Every event of the job that is young enough is durable. ``hours`` are those of starts, each with its country."""

    number: int
    end: JobEnd
    read: int
    stored: int
    discarded: int
    rejects: list[Reject]
    hours: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Precomputed:
    """The days are counted, or left to the reports because Cassandra was unavailable."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Cassandra is unavailable; the worker goes on by itself when it is back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot begin, or not go on."""

    reason: str


Task = Job | Precompute
Message = Ready | Logged | Done | Precomputed | Waiting | Failed
Say = Callable[[Message], None]
