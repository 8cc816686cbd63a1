"""Counts of starts as they are stored: by the hour for each day, by the minute for each hour and country.

Each is one text with its position, written in one cell. So whichever of two writers wins, what stands there is whole.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from events import domain
from events.batched import batched
from events.clock import retention_cutoff_ms, ttl_seconds
from events.counting.validity import MARGIN_MS, Position
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, PROMPT_MS
from events.late_writes import EVERY_COUNTRY, MICROSECONDS
from store import cassandra
from store.cassandra import Row, Statement, WriteInFlight
from store.errors import StoreError

log = logging.getLogger(__name__)

MINUTES_PER_HOUR = 60
HOURS_PER_DAY = 24
# Days read by one statement: a month takes one.
DAYS_PER_STATEMENT = 32
# A mutation may have 16 MiB; a row of minutes has 300 bytes.
ROWS_PER_BATCH = 1_000

SELECT_NOW = "SELECT toUnixTimestamp(now()) FROM system.local"
SELECT_DAYS = """
    SELECT DISTINCT toUnixTimestamp(day), day_last_slot, day_hours FROM {keyspace}.start_count WHERE day IN ?"""
SELECT_MINUTES = """
    SELECT toUnixTimestamp(hour), country, last_slot, minutes FROM {keyspace}.start_count
    WHERE day = ? AND hour IN ?"""
SELECT_MINUTES_OF_COUNTRIES = f"{SELECT_MINUTES} AND country IN ?"
SELECT_REGISTERS = "SELECT toUnixTimestamp(hour), last_slot FROM {keyspace}.start_count WHERE day = ?"
UPDATE_DAY = """
    UPDATE {keyspace}.start_count USING TIMESTAMP ? AND TTL ? SET day_hours = ? WHERE day = ?"""
UPDATE_MINUTES = """
    UPDATE {keyspace}.start_count USING TIMESTAMP ? AND TTL ? SET minutes = ?
    WHERE day = ? AND hour = ? AND country = ?"""

_decode_day = msgspec.json.Decoder(tuple[int, dict[str, int], str, int, dict[str, list[int]]]).decode
_decode_minutes = msgspec.json.Decoder(tuple[int, dict[str, int], str, list[int]]).decode


class Counted:
    """A stored count: its position, if there is one, and the register of late writes beside it."""

    __slots__ = ()

    last_slot: int | None
    position: Position | None

    @property
    def is_looked_behind(self) -> bool:
        """Whether late writes have to be looked at that may have come behind the position."""
        return self.position is not None and self.last_slot is not None and self.last_slot >= self.position.slot

    def is_passed_by(self, position: Position) -> bool:
        """Return whether late writes have to be looked at, and no more behind this position."""
        return self.is_looked_behind and self.last_slot is not None and self.last_slot < position.slot


@dataclass(slots=True)
class Day(Counted):
    """The counts of a day: of its first ``hours`` hours, all of which are over.

    ``starts`` has for each country over how many shards it lies, and a number for each of these hours. Without a
    position nothing is counted yet.
    """

    day_ms: int
    last_slot: int | None = None
    position: Position | None = None
    hours: int = 0
    starts: dict[str, list[int]] = field(default_factory=dict)

    def has(self, hour_ms: int) -> bool:
        """Return whether the hour is counted."""
        return 0 <= (hour_ms - self.day_ms) // HOUR_MS < self.hours

    def number(self, country: str, hour_ms: int) -> int:
        """Return the starts of a country in an hour that is counted."""
        row = self.starts.get(country)
        return row[1 + (hour_ms - self.day_ms) // HOUR_MS] if row else 0

    def put(self, country: str, hour_ms: int, number: int, *, shards: int) -> None:
        """Note the starts of a country in an hour that is counted."""
        row = self.starts.setdefault(country, [shards] + [0] * self.hours)
        row[0] = max(row[0], shards)
        row[1 + (hour_ms - self.day_ms) // HOUR_MS] = number

    def clear(self, hour_ms: int) -> None:
        """Forget the starts of an hour of every country, if it is counted."""
        if self.has(hour_ms):
            for row in self.starts.values():
                row[1 + (hour_ms - self.day_ms) // HOUR_MS] = 0

    def extend(self, hours: int) -> None:
        """Have the first ``hours`` hours counted, those that are new with nothing yet."""
        for row in self.starts.values():
            row.extend([0] * (hours - self.hours))
        self.hours = max(hours, self.hours)


@dataclass(slots=True)
class Minutes(Counted):
    """The starts of the first minutes of a country's hour; without a position nothing is counted yet."""

    last_slot: int | None = None
    position: Position | None = None
    starts: list[int] = field(default_factory=list)

    def adds_up_to(self, number: int) -> bool:
        """Return whether these are all minutes of the hour, and hold so many starts."""
        return self.position is not None and len(self.starts) == MINUTES_PER_HOUR and sum(self.starts) == number


@dataclass(slots=True)
class Store:
    """Reads and writes counts for one report: ``now_ms`` is when it began, ``deadline`` a ``time.monotonic()``."""

    now_ms: int
    deadline: float
    # Statements that count, at a time.
    counts_at_a_time: int = cassandra.READS_IN_FLIGHT
    # Whether minutes into which something came late are stored with their new position also when they hold the same:
    # whoever reads them then has fewer late writes to look at.
    renews_positions: bool = False
    # What happened then or earlier is older than the retention.
    retention_cutoff_ms: int = field(init=False)
    # What is over is decided by our clock and a node's, whichever is behind: a clock that is ahead would store counts
    # as complete that are not.
    clock_ms: int = field(init=False)
    # A report that is without some late starts stores nothing: it would lie over counts that have them.
    is_complete: bool = True
    _rows: defaultdict[int, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    _in_flight: list[WriteInFlight] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.retention_cutoff_ms = retention_cutoff_ms(self.now_ms)
        self.clock_ms = self.now_ms

    def count(self, statements: Iterable[Statement]) -> list[list[Row]]:
        """Return the answers of statements that count. Raises StoreError."""
        return cassandra.execute_many(
            statements, deadline=self.deadline, counting=True, at_a_time=self.counts_at_a_time
        )

    def minutes_over(self, hour_ms: int) -> int:
        """Return how many minutes of the hour, from its beginning, no prompt write can be in flight into."""
        if self.clock_ms > hour_ms + HOUR_MS + MARGIN_MS:
            return MINUTES_PER_HOUR
        over_ms = self.clock_ms - MARGIN_MS - PROMPT_MS - hour_ms
        return max(over_ms // MINUTE_MS, 0)

    def hours_over(self, day_ms: int) -> int:
        """Return how many hours of the day, from its beginning, are wholly over in that sense."""
        over_ms = self.clock_ms - MARGIN_MS - 1 - day_ms
        return min(max(over_ms // HOUR_MS, 0), HOURS_PER_DAY)

    def days(self, days: Sequence[int]) -> dict[int, Day]:
        """Read the counts of days, and the clock of a node. Raises StoreError."""
        queries: list[Statement] = [(SELECT_NOW, ())]
        queries += [(SELECT_DAYS, (some,)) for some in batched(days, DAYS_PER_STATEMENT)]
        found = {day: Day(day) for day in days}
        [(node_ms,)], *answers = cassandra.execute_many(queries, deadline=self.deadline)
        self.clock_ms = min(self.now_ms, node_ms)
        for rows in answers:
            for day, last_slot, text in rows:
                found[day].last_slot = last_slot
                if text:
                    slot, seen, release_1, hours, starts = _decode_day(text)
                    # A clock that is ahead of ours may have counted more than is over for us.
                    found[day].position, found[day].hours = (
                        Position(slot, seen, release_1),
                        min(hours, self.hours_over(day)),
                    )
                    found[day].starts = {country: row[: 1 + found[day].hours] for country, row in starts.items()}
        return found

    def hours_written(self, since: Mapping[int, int]) -> set[int]:
        """Return the hours of these days into which a late write came in the given slot or later."""
        queries: list[Statement] = [(SELECT_REGISTERS, (day,)) for day in since]
        answers = cassandra.execute_many(queries, deadline=self.deadline)
        return {
            hour
            for slot, rows in zip(since.values(), answers, strict=True)
            for hour, last_slot in rows
            if last_slot is not None and last_slot >= slot
        }

    def minutes(
        self,
        hours: Iterable[int],
        *,
        countries: Mapping[int, Collection[str]] | None = None,
        wanted: Collection[tuple[str, int]] | None = None,
    ) -> dict[tuple[str, int], Minutes]:
        """Read the minutes of these hours; with ``countries``, of those of each day only, and of those the ``wanted``.

        Raises StoreError.
        """
        of_days: dict[int, list[int]] = defaultdict(list)
        for hour in hours:
            of_days[domain.day_of(hour)].append(hour)
        queries: list[Statement] = [
            (SELECT_MINUTES, (day, some))
            if countries is None
            else (SELECT_MINUTES_OF_COUNTRIES, (day, some, [EVERY_COUNTRY, *countries[day]]))
            for day, some in of_days.items()
        ]
        found: dict[tuple[str, int], Minutes] = {}
        for rows in cassandra.execute_many(queries, deadline=self.deadline):
            for hour, country, last_slot, text in rows:
                found[country, hour] = Minutes(last_slot)
                if text and (wanted is None or (country, hour) in wanted):
                    slot, seen, release_1, starts = _decode_minutes(text)
                    found[country, hour] = Minutes(last_slot, Position(slot, seen, release_1), starts)
        for (_, hour), minutes in found.items():
            if every := found.get((EVERY_COUNTRY, hour)):
                minutes.last_slot = max(minutes.last_slot or 0, every.last_slot or 0)
        return found

    def put_day(self, day: Day) -> None:
        """Note a day to be stored."""
        if day.position:
            text = _encode([*day.position, day.hours, day.starts])
            self._keep(UPDATE_DAY, text, key=(day.day_ms,), until_ms=day.day_ms + DAY_MS)

    def put_minutes(self, country: str, hour_ms: int, minutes: Minutes) -> None:
        """Note an hour to be stored."""
        if minutes.position:
            text = _encode([*minutes.position, minutes.starts])
            key = (domain.day_of(hour_ms), hour_ms, country)
            self._keep(UPDATE_MINUTES, text, key=key, until_ms=hour_ms + HOUR_MS)

    def _keep(self, cql: str, text: str, *, key: tuple[Any, ...], until_ms: int) -> None:
        """Note a row that expires one retention after ``until_ms``; the key begins with the day."""
        ttl = ttl_seconds(until_ms, now_ms=self.now_ms)
        if ttl > 0 and self.is_complete:
            self._rows[key[0]].append((cql, (self.clock_ms * MICROSECONDS, ttl, text, *key)))

    def send(self) -> None:
        """Send what was noted, without waiting. A batch is of one partition: such a one may be of any size."""
        for rows in self._rows.values():
            for some in batched(rows, ROWS_PER_BATCH):
                seconds = self.deadline - time.monotonic()
                with _logged_when_unavailable():
                    self._in_flight.append(cassandra.send_batch(some, seconds=seconds))
        self._rows.clear()

    def finish(self) -> None:
        """Return when what was sent is durable or has failed, at the deadline at the latest."""
        for write in self._in_flight:
            with _logged_when_unavailable():
                write.wait()


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@contextmanager
def _logged_when_unavailable() -> Iterator[None]:
    """Log a count that could not be stored: it is taken again."""
    try:
        yield
    except StoreError as error:
        log.info("Counts were not stored: %s", error)
