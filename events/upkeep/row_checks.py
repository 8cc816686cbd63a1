"""What can be wrong with a stored row by itself, and the statements that fix it.

A row is read with the times to live and the write timestamps of its columns. A row of another tool has a timestamp of
its own: it is rewritten one microsecond later, or deleted at the same timestamp (a deletion then wins).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.conf import settings

from events import domain
from events.clock import retention_cutoff_ms
from events.counting.stored import UPDATE_DAY, UPDATE_MINUTES
from events.domain import CLOCKS_APART_MS, DAY_MS, HOUR_MS, IN_FLIGHT_MS, MINUTE_MS, SECOND_MS, START, Event
from events.erased_players import NEVER_ERASED
from events.late_writes import INSERT_MARKER, MARKER_SECONDS, MICROSECONDS, WHOLE_HOUR, Cell
from events.rows import INSERT_ENDED, INSERT_INDEX_ENTRY, INSERT_START, INSERT_STARTED, shards_of
from store.cassandra import Row, Statement

# Kinds of problems. A row that cannot be fixed is reported until it has expired.
TOO_OLD = "older than the retention"
WITHOUT_TTL = "without a time to live"
TTL_TOO_LONG = "time to live too long"
MISPLACED = "wrong hour, shard or form of country"
EMPTY = "without a moment"
UNREADABLE = "no event can be made of it"
ERASED = "of an erased player"
ENTRY_WITH_TTL = "entry of an erased player with a time to live"

# A time to live is taken from a writer's clock and runs by a node's, and a write may take this long.
TTL_TOLERANCE_SECONDS = (CLOCKS_APART_MS + IN_FLIGHT_MS) // SECOND_MS + 2
# In place of a deletion, which would hide later columns: the row expires, its columns stay.
SOON = 1

DELETE_START = """
    DELETE FROM {keyspace}.session_by_country USING TIMESTAMP ?
    WHERE country = ? AND hour = ? AND shard = ? AND ts = ? AND session_id = ?"""
DELETE_STARTED = """
    DELETE started_at, country FROM {keyspace}.session_by_player_id USING TIMESTAMP ?
    WHERE player_id = ? AND session_id = ?"""
DELETE_ENDED = """
    DELETE ended_at FROM {keyspace}.session_by_player_id USING TIMESTAMP ? WHERE player_id = ? AND session_id = ?"""
EXPIRE_SESSION = """
    INSERT INTO {keyspace}.session_by_player_id (player_id, session_id) VALUES (?, ?) USING TIMESTAMP ? AND TTL ?"""
DELETE_COMPLETED = """
    DELETE FROM {keyspace}.completed_session_by_player_id USING TIMESTAMP ?
    WHERE player_id = ? AND ended_at = ? AND session_id = ?"""
DELETE_INDEX_ENTRY = """
    DELETE FROM {keyspace}.country_hour USING TIMESTAMP ? WHERE day = ? AND hour = ? AND country = ?"""
DELETE_INDEX_DAY = "DELETE FROM {keyspace}.country_hour USING TIMESTAMP ? WHERE day = ?"
DELETE_COUNT = """
    DELETE FROM {keyspace}.start_count USING TIMESTAMP ? WHERE day = ? AND hour = ? AND country = ?"""
DELETE_COUNT_DAY = "DELETE FROM {keyspace}.start_count USING TIMESTAMP ? WHERE day = ?"
UPDATE_LAST_SLOT = """
    UPDATE {keyspace}.start_count USING TIMESTAMP ? AND TTL ? SET last_slot = ?
    WHERE day = ? AND hour = ? AND country = ?"""
UPDATE_DAY_LAST_SLOT = """
    UPDATE {keyspace}.start_count USING TIMESTAMP ? AND TTL ? SET day_last_slot = ? WHERE day = ?"""
DELETE_LATE_WRITE = """
    DELETE FROM {keyspace}.late_write USING TIMESTAMP ? WHERE slot = ? AND writer = ? AND version = ?"""
KEEP_ERASED = "INSERT INTO {keyspace}.erased_player (bucket, player_id, until) VALUES (?, ?, ?) USING TIMESTAMP ?"


class Problem(NamedTuple):
    """Something that is wrong with a row. To fix it, ``events`` are recorded, then ``statements`` are executed.

    ``cell`` are the minutes that then have fewer starts. Without events and statements it cannot be fixed.
    """

    kind: str
    statements: Sequence[Statement] = ()
    events: Sequence[Event] = ()
    cell: Cell | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """When rows were read, what was older than the retention then, and which players were ``erased`` until when."""

    now_ms: int
    erased: Mapping[str, int] = field(default_factory=dict)
    # Up to and including that moment everything is too old.
    cutoff_ms: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutoff_ms", retention_cutoff_ms(self.now_ms))

    def is_erased(self, player_id: str, moment_ms: int) -> bool:
        """Return whether what a player did at a moment has been erased."""
        return moment_ms <= self.erased.get(player_id, NEVER_ERASED)

    def erased_us(self, player_id: str) -> int:
        """Return the write timestamp of deletions: the last microsecond of what is erased of the player."""
        return self.erased[player_id] * MICROSECONDS + MICROSECONDS - 1

    @property
    def now_us(self) -> int:
        """Return the write timestamp of what is written now."""
        return self.now_ms * MICROSECONDS

    def lifetime_problem(self, moment_ms: int, ttls: Iterable[int | None]) -> str | None:
        """Return what is wrong with the life of columns that belong to a moment."""
        if moment_ms <= self.cutoff_ms:
            return TOO_OLD
        most = self.ttl(moment_ms) + TTL_TOLERANCE_SECONDS
        for ttl in ttls:
            if ttl is None:
                return WITHOUT_TTL
            if ttl > most:
                return TTL_TOO_LONG
        return None

    def ttl(self, moment_ms: int) -> int:
        """Return how long what belongs to a moment still lives; at least a second, since 0 is for ever."""
        return max(domain.remaining_seconds(moment_ms, retention_cutoff_ms=self.cutoff_ms), 1)


def right_place(event: Event) -> tuple[str, int, int]:
    """Return the country, hour and shard in which the row of a start belongs."""
    hour, country = domain.hour_of(event.ts_ms), event.country or ""
    return country, hour, domain.shard_of(event.session_id, shards_of(country, hour))


def start_of(row: Row) -> Event | None:
    """Return the start of a row of ``session_by_country``; None when the row is unreadable."""
    country, _, _, ts, session, player = row[:6]
    if player is None or not domain.COUNTRY.match(country):
        return None
    return Event(START, player, session, ts, country.upper())


def check_start(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a row of ``session_by_country``."""
    country, hour, shard, ts, session, player, ttl, written = row
    key = (country, hour, shard, ts, session)
    if ts <= clock.cutoff_ms:
        yield Problem(TOO_OLD, [(DELETE_START, (max(clock.now_us, written or 0), *key))])
    elif (event := start_of(row)) is None:
        yield Problem(UNREADABLE)
    elif (country, hour, shard) != right_place(event):
        yield Problem(MISPLACED, [(DELETE_START, (written, *key))], [event], Cell(country, hour, WHOLE_HOUR, shard + 1))
    elif kind := clock.lifetime_problem(ts, [ttl]):
        yield Problem(kind, [(INSERT_START, (*key, player, written + 1, clock.ttl(ts)))])


def check_session(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a row of ``session_by_player_id``."""
    player, session, country, started, ended, _, started_written, _, country_written, ended_ttl, ended_written = row
    key = (player, session)
    written = [one for one in (started_written, country_written, ended_written) if one is not None]
    if started is None and ended is None:
        forget = [(DELETE_STARTED, (country_written, *key))] if country is not None else []
        yield Problem(EMPTY, [*forget, (EXPIRE_SESSION, (*key, max([clock.now_us, *written]), SOON))])
        return
    latest = max(started or 0, ended or 0)
    if latest <= clock.cutoff_ms:
        yield Problem(
            TOO_OLD,
            [
                (DELETE_STARTED, (max(written), *key)),
                (DELETE_ENDED, (max(written), *key)),
                (EXPIRE_SESSION, (*key, max(written) + 1, SOON)),
            ],
        )
        return
    if started is not None:
        yield from _check_started(row, clock)
    if ended is not None and (kind := clock.lifetime_problem(ended, [ended_ttl])):
        fix = (INSERT_ENDED, (*key, ended, ended_written + 1, clock.ttl(ended)))
        yield Problem(kind, [(DELETE_ENDED, (ended_written, *key)) if kind == TOO_OLD else fix])


def _check_started(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with the columns of the start; the others are young, or there are none."""
    player, session, country, started, _, started_ttl, started_written, country_ttl, country_written, *_ = row
    written = max(started_written, country_written or 0)
    kind = clock.lifetime_problem(started, [started_ttl, country_ttl] if country else [started_ttl])
    if kind == TOO_OLD:
        yield Problem(kind, [(DELETE_STARTED, (written, player, session))])
    elif country is None or not domain.COUNTRY.match(country):
        yield Problem(UNREADABLE)
    elif kind or country != country.upper():
        values = (player, session, started, country.upper(), written + 1, clock.ttl(started))
        yield Problem(kind or MISPLACED, [(INSERT_STARTED, values)])


def check_completed(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a row of ``completed_session_by_player_id``.

    It has its key only, of which Cassandra tells no time to live: one without is deleted when it is too old.
    """
    player, ended, session = row
    if ended <= clock.cutoff_ms:
        yield Problem(TOO_OLD, [(DELETE_COMPLETED, (clock.now_us, player, ended, session))])


def check_index_entry(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a row of ``country_hour``."""
    day, hour, country, shards, ttl, written = row
    if hour is None:  # a day that has columns of its own and no hours
        return
    if hour + HOUR_MS <= clock.cutoff_ms:
        yield Problem(TOO_OLD, [(DELETE_INDEX_ENTRY, (max(clock.now_us, written or 0), day, hour, country))])
    elif shards is None:  # of release 1.0's columns alone
        return
    elif (day, hour, country) != (domain.day_of(hour), domain.hour_of(hour), country.upper()):
        # The right one is written when the starts of its hour are looked at.
        yield Problem(MISPLACED, [(DELETE_INDEX_ENTRY, (written, day, hour, country))])
    elif kind := clock.lifetime_problem(hour + HOUR_MS, [ttl]):
        yield Problem(kind, [_rewritten_index_entry(row, clock)])


def _rewritten_index_entry(row: Row, clock: Clock) -> Statement:
    """Return the entry anew. One of ours has its number of shards in its timestamp, and so has the new one."""
    day, hour, country, shards, _, written = row
    is_ours = written == hour * MICROSECONDS + shards
    values = (day, hour, country, shards + 1 if is_ours else shards, written + 1, clock.ttl(hour + HOUR_MS))
    return INSERT_INDEX_ENTRY, values


def check_index_day(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a partition of ``country_hour`` as a whole."""
    (day,) = row
    if day + DAY_MS <= clock.cutoff_ms:
        yield Problem(TOO_OLD, [(DELETE_INDEX_DAY, (clock.now_us, day))])


def check_count(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a row of ``start_count``, but for its number: see ``day_counts``."""
    day, hour, country, last_slot, slot_ttl, slot_written, minutes, minutes_ttl, minutes_written = row
    if hour is None:
        return
    key = (day, hour, country)
    if hour + HOUR_MS <= clock.cutoff_ms:
        latest = max(clock.now_us, slot_written or 0, minutes_written or 0)
        yield Problem(TOO_OLD, [(DELETE_COUNT, (latest, *key))])
        return
    until = hour + HOUR_MS
    if minutes is not None and (kind := clock.lifetime_problem(until, [minutes_ttl])):
        yield Problem(kind, [(UPDATE_MINUTES, (minutes_written + 1, clock.ttl(until), minutes, *key))])
    until = day + DAY_MS
    if last_slot is not None and (kind := clock.lifetime_problem(until, [slot_ttl])):
        yield Problem(kind, [(UPDATE_LAST_SLOT, (slot_written + 1, clock.ttl(until), last_slot, *key))])


def check_count_day(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with what a partition of ``start_count`` has once."""
    day, last_slot, slot_ttl, slot_written, hours, hours_ttl, hours_written = row
    until = day + DAY_MS
    if until <= clock.cutoff_ms:
        latest = max(clock.now_us, slot_written or 0, hours_written or 0)
        yield Problem(TOO_OLD, [(DELETE_COUNT_DAY, (latest, day))])
        return
    if hours is not None and (kind := clock.lifetime_problem(until, [hours_ttl])):
        yield Problem(kind, [(UPDATE_DAY, (hours_written + 1, clock.ttl(until), hours, day))])
    if last_slot is not None and (kind := clock.lifetime_problem(until, [slot_ttl])):
        yield Problem(kind, [(UPDATE_DAY_LAST_SLOT, (slot_written + 1, clock.ttl(until), last_slot, day))])


def check_late_write(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a row of ``late_write``: it lives for a day, whatever the retention is."""
    slot, writer, version, cells, ttl, written = row
    moment = version - (settings.RETENTION_SECONDS - MARKER_SECONDS) * SECOND_MS
    kind = clock.lifetime_problem(moment, [ttl])
    if kind == TOO_OLD:
        yield Problem(kind, [(DELETE_LATE_WRITE, (max(clock.now_us, written or 0), slot, writer, version))])
    elif kind and cells is not None:
        yield Problem(kind, [(_REWRITE_LATE_WRITE, (slot, writer, version, cells, written + 1, clock.ttl(moment)))])


def check_erased_player(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a row of ``erased_player``: it must stay for ever."""
    bucket, player, until, ttl, written = row
    if until is not None and ttl is not None:
        yield Problem(ENTRY_WITH_TTL, [(KEEP_ERASED, (bucket, player, until, written + 1))])


def erase_start(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield how a row of ``session_by_country`` is deleted if its player was erased.

    Its key does not tell the player: only what was read with the row of this player is deleted.
    """
    country, hour, shard, ts, session, player, _, written = row
    if clock.is_erased(player, ts):
        minute = (ts - hour) // MINUTE_MS if hour == domain.hour_of(ts) else WHOLE_HOUR
        deletion = (DELETE_START, (max(clock.erased_us(player), written), country, hour, shard, ts, session))
        yield Problem(ERASED, [deletion], cell=Cell(country, hour, minute, shard + 1))


def erase_session(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield how the columns of a row of ``session_by_player_id`` are deleted whose events were erased."""
    player, session, country, started, ended, _, started_written, _, country_written, _, ended_written = row
    if player not in clock.erased:
        return
    key, latest = (player, session), clock.erased_us(player)
    deletions: list[Statement] = []
    started_is_erased = started is None or clock.is_erased(player, started)
    ended_is_erased = ended is None or clock.is_erased(player, ended)
    if started_is_erased and (started is not None or country is not None):
        latest = max(latest, started_written or 0, country_written or 0)
        deletions.append((DELETE_STARTED, (latest, *key)))
    if ended_is_erased and ended is not None:
        latest = max(latest, ended_written)
        deletions.append((DELETE_ENDED, (latest, *key)))
    if started_is_erased and ended_is_erased:
        deletions.append((EXPIRE_SESSION, (*key, latest + 1, SOON)))
    if deletions:
        yield Problem(ERASED, deletions)


def erase_completed(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield how a row of ``completed_session_by_player_id`` is deleted if its end was erased."""
    player, ended, session = row
    if clock.is_erased(player, ended):
        # Of a key no write timestamp is known. Nothing but this end can ever stand here.
        at = max(clock.erased_us(player), clock.now_us)
        yield Problem(ERASED, [(DELETE_COMPLETED, (at, player, ended, session))])


def names_no_player(row: Row, clock: Clock) -> Iterator[Problem]:
    """Yield nothing: there is nobody in this table to erase."""
    return iter(())


_REWRITE_LATE_WRITE = INSERT_MARKER.replace("USING TTL ?", "USING TIMESTAMP ? AND TTL ?")
