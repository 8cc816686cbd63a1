"""The write path of both entry points, HTTP and import: which rows an event makes, and when they are durable."""

import time
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from itertools import compress

from django.conf import settings

from events import domain, late_writes
from events.clock import gone_ms, oldest_kept_ms, ttl_seconds, wall_clock_ms
from events.domain import Event
from events.late_writes import LATE_MS, MICROSECONDS, Cell
from sessions_project import cassandra
from sessions_project.cassandra import Statement
from sessions_project.group_commit import GroupCommit

INSERT_START = """
    INSERT INTO {keyspace}.session_by_country (country, hour, shard, ts, session_id, player_id)
    VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"""
INSERT_STARTED = """
    INSERT INTO {keyspace}.session_by_player_id (player_id, session_id, started_at, country)
    VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"""
INSERT_ENDED = """
    INSERT INTO {keyspace}.session_by_player_id (player_id, session_id, ended_at)
    VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?"""
INSERT_COMPLETED = """
    INSERT INTO {keyspace}.completed_session_by_player_id (player_id, ended_at, session_id)
    VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?"""
INSERT_MARK = """
    INSERT INTO {keyspace}.country_hour (day, hour, country, shards)
    VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"""
# What processes of release 1.0 believe counts by: they know nothing of registers and markers.
UPDATE_TOUCHED = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ?
    SET touched = touched + ?, day_touched = day_touched + ? WHERE day = ? AND hour = ? AND country = ?"""

# The name of all processes of this release in those maps: they do not grow with every process that ever ran. A touch
# that hides behind that of a faster clock comes before those processes keep a count again: they wait for 90 s.
TOUCHED_BY_US = "2"

# That a country has starts in an hour: the country, the beginning of the hour, and over how many shards it is spread.
Mark = tuple[str, int, int]

_parsed_shards = cache(domain.parse_shards)


# Requests that come while so many writes are under way go together. With 3, what the threads of a process bring at a
# time is either under way or gathered, however slow the store is; with 1 or 2 a fast one is no faster.
WRITES_AT_A_TIME = 3
# Five full requests: 20 KiB, which leave room below Cassandra's limit of 50 KiB (batch_size_fail_threshold).
STATEMENTS_PER_WRITE = 100
_commits = GroupCommit[Statement](
    cassandra.execute_batch, at_a_time=WRITES_AT_A_TIME, most_statements=STATEMENTS_PER_WRITE
)

# The marks that this process has seen become durable. About 100 bytes each: 10 MB at most.
MOST_REMEMBERED_MARKS = 100_000
_marked: set[Mark] = set()


def record_events(events: Sequence[Event], *, now_ms: int, began_ms: int | None = None) -> list[bool]:
    """Store the events, whole or not at all; for each, True: durable, False: too old, discarded.

    ``began_ms`` is when the clock showed ``now_ms``, if that was before this call. Returns once the batch is durable at
    LOCAL_QUORUM. Recording the same events again leaves the same rows.
    Raises StoreUnavailable: nothing is known to be stored, and recording again is safe.
    """
    began_ms = wall_clock_ms() if began_ms is None else began_ms
    oldest_ms = oldest_kept_ms(now_ms)
    kept = [event.ts_ms >= oldest_ms for event in events]
    young = list(compress(events, kept))
    if young:
        new_marks = unmarked(marks_of(young))
        late = late_cells(young, now_ms=now_ms)
        statements = event_rows(young, now_ms=now_ms)
        statements += mark_rows(new_marks, now_ms=now_ms)
        statements += late_rows(late, now_ms=now_ms)
        until = time.monotonic() + settings.CASSANDRA_TIMEOUT_SECONDS
        _commits.write(statements, seconds=settings.CASSANDRA_TIMEOUT_SECONDS)
        remember_marks(new_marks)
        if late:
            late_writes.mark(late, now_ms=now_ms, seconds=until - time.monotonic())
        took_ms = wall_clock_ms() - began_ms
        if took_ms > LATE_MS:
            return record_events(events, now_ms=now_ms + took_ms)
    return kept


def event_rows(events: Sequence[Event], *, now_ms: int) -> list[Statement]:
    """The two rows of each event. Every event must be young enough to keep."""
    return player_rows(events, now_ms=now_ms) + country_rows(events, now_ms=now_ms)


def player_rows(events: Iterable[Event], *, now_ms: int) -> list[Statement]:
    """The rows that lie in the partitions of the players: one for a start, two for an end."""
    rows: list[Statement] = []
    gone = gone_ms(now_ms)
    for kind, player, session, ts, country in events:
        written_at, ttl = ts * MICROSECONDS, domain.remaining_seconds(ts, gone_ms=gone)
        if kind == domain.START:
            rows.append((INSERT_STARTED, (player, session, ts, country, written_at, ttl)))
        else:
            rows.append((INSERT_ENDED, (player, session, ts, written_at, ttl)))
            rows.append((INSERT_COMPLETED, (player, ts, session, written_at, ttl)))
    return rows


def country_rows(events: Iterable[Event], *, now_ms: int) -> list[Statement]:
    """The rows that lie in the partitions of countries and hours: one for a start, none for an end."""
    rows: list[Statement] = []
    gone = gone_ms(now_ms)
    for kind, player, session, ts, country in events:
        if kind == domain.START:
            hour = domain.hour_of(ts)
            shard = domain.shard_of(session, shards_of(country, hour))
            written_at, ttl = ts * MICROSECONDS, domain.remaining_seconds(ts, gone_ms=gone)
            rows.append((INSERT_START, (country, hour, shard, ts, session, player, written_at, ttl)))
    return rows


def marks_of(events: Iterable[Event]) -> set[Mark]:
    """A mark for every country and hour that the starts among the events fall in."""
    cells = {
        (event.country, domain.hour_of(event.ts_ms)) for event in events if event.kind == domain.START and event.country
    }
    return {(country, hour, shards_of(country, hour)) for country, hour in cells}


def mark_rows(marks: Iterable[Mark], *, now_ms: int) -> list[Statement]:
    """The rows that make them known to the reports."""
    return [
        (
            INSERT_MARK,
            (
                domain.day_of(hour),
                hour,
                country,
                shards,
                hour * MICROSECONDS + shards,
                ttl_seconds(hour + domain.HOUR_MS, now_ms=now_ms),
            ),
        )
        for country, hour, shards in marks
    ]


def late_cells(events: Iterable[Event], *, now_ms: int) -> set[Cell]:
    """The minutes of the starts that may have been counted without."""
    return {
        late_writes.cell_of(country, ts, shards=shards_of(country, domain.hour_of(ts)))
        for kind, _, _, ts, country in events
        if kind == domain.START and country and domain.is_late(ts, now_ms=now_ms)
    }


def late_rows(cells: Collection[Cell], *, now_ms: int) -> list[Statement]:
    """The rows that go with late starts, before their marker."""
    return late_writes.register_rows(cells, now_ms=now_ms) + touch_rows(cells, now_ms=now_ms)


def touch_rows(cells: Collection[Cell], *, now_ms: int) -> list[Statement]:
    """The rows that make every count invalid that a process of release 1.0 has kept of these hours."""
    if not (cells and settings.MIXED_RELEASES):
        return []
    _, version = late_writes.writer.next_version(now_ms)
    touch, when = {TOUCHED_BY_US: version}, version * MICROSECONDS
    hours = {(cell.country, cell.hour_ms) for cell in cells}
    return [
        (
            UPDATE_TOUCHED,
            (when, ttl_seconds(hour + domain.HOUR_MS, now_ms=now_ms), touch, touch, domain.day_of(hour), hour, country),
        )
        for country, hour in hours
    ]


def unmarked(marks: set[Mark]) -> set[Mark]:
    """Those that this process has not seen become durable."""
    return marks - _marked


def remember_marks(marks: Iterable[Mark]) -> None:
    """Leave these out from now on; only for marks that are durable."""
    if len(_marked) > MOST_REMEMBERED_MARKS:
        _marked.clear()
    _marked.update(marks)


def shards_of(country: str | None, hour_ms: int) -> int:
    """Over how many partitions the starts of the country in this hour are spread.

    Of the hour alone, not of when it is written: an event that is sent again meets its own row.
    """
    return domain.shards_at(_parsed_shards(settings.COUNTRY_SHARDS), country or "", hour_ms)
