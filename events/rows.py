"""The rows of an event, and those that a late start has in addition: CQL and values. Nothing is written here."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache

from django.conf import settings

from events import domain, late_writes
from events.clock import retention_cutoff_ms, ttl_seconds
from events.domain import Event
from events.late_writes import MICROSECONDS, Cell
from store.cassandra import Statement

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
INSERT_INDEX_ENTRY = """
    INSERT INTO {keyspace}.country_hour (day, hour, country, shards)
    VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"""
# The version maps by which release 1.0 knows whether its counts are valid: it knows no registers and no markers.
UPDATE_VERSION_MAPS = """
    UPDATE {keyspace}.country_hour USING TIMESTAMP ? AND TTL ?
    SET touched = touched + ?, day_touched = day_touched + ? WHERE day = ? AND hour = ? AND country = ?"""

# The one name of all processes of this release in those maps, so that the maps do not grow with every process that ever
# ran. An entry may be hidden by one with a faster clock, but those processes wait 90 s before they store a count again.
OUR_NAME_IN_MAPS = "2"

# That a country has starts in an hour: the country, the beginning of the hour, and over how many shards it is spread.
HourIndexEntry = tuple[str, int, int]

_parsed_shards = cache(domain.parse_shards)


def event_rows(events: Sequence[Event], *, now_ms: int) -> list[Statement]:
    """Return the two rows of each event. Every event must be young enough to keep."""
    return player_rows(events, now_ms=now_ms) + country_rows(events, now_ms=now_ms)


def player_rows(events: Iterable[Event], *, now_ms: int) -> list[Statement]:
    """Return the rows that lie in the partitions of the players: one for a start, two for an end."""
    rows: list[Statement] = []
    cutoff = retention_cutoff_ms(now_ms)
    for kind, player, session, ts, country in events:
        written_at, ttl = ts * MICROSECONDS, domain.remaining_seconds(ts, retention_cutoff_ms=cutoff)
        if kind == domain.START:
            rows.append((INSERT_STARTED, (player, session, ts, country, written_at, ttl)))
        else:
            rows.append((INSERT_ENDED, (player, session, ts, written_at, ttl)))
            rows.append((INSERT_COMPLETED, (player, ts, session, written_at, ttl)))
    return rows


def country_rows(events: Iterable[Event], *, now_ms: int) -> list[Statement]:
    """Return the rows that lie in the partitions of countries and hours: one for a start, none for an end."""
    rows: list[Statement] = []
    cutoff = retention_cutoff_ms(now_ms)
    for kind, player, session, ts, country in events:
        if kind == domain.START:
            hour = domain.hour_of(ts)
            shard = domain.shard_of(session, shards_of(country, hour))
            written_at, ttl = ts * MICROSECONDS, domain.remaining_seconds(ts, retention_cutoff_ms=cutoff)
            rows.append((INSERT_START, (country, hour, shard, ts, session, player, written_at, ttl)))
    return rows


def index_entries(events: Iterable[Event]) -> set[HourIndexEntry]:
    """Return an index entry for every country and hour that the starts among the events fall in."""
    cells = {
        (event.country, domain.hour_of(event.ts_ms)) for event in events if event.kind == domain.START and event.country
    }
    return {(country, hour, shards_of(country, hour)) for country, hour in cells}


def index_rows(entries: Iterable[HourIndexEntry], *, now_ms: int) -> list[Statement]:
    """Return the rows that tell reports of these hours."""
    return [
        (
            INSERT_INDEX_ENTRY,
            (
                domain.day_of(hour),
                hour,
                country,
                shards,
                hour * MICROSECONDS + shards,
                ttl_seconds(hour + domain.HOUR_MS, now_ms=now_ms),
            ),
        )
        for country, hour, shards in entries
    ]


def late_cells(events: Iterable[Event], *, now_ms: int) -> set[Cell]:
    """Return the minutes of the starts that may have been counted without."""
    return {
        late_writes.cell_of(country, ts, shards=shards_of(country, domain.hour_of(ts)))
        for kind, _, _, ts, country in events
        if kind == domain.START and country and domain.is_late(ts, now_ms=now_ms)
    }


def late_rows(cells: Collection[Cell], *, now_ms: int) -> list[Statement]:
    """Return the rows that go with late starts, before their marker."""
    return late_writes.register_rows(cells, now_ms=now_ms) + version_map_rows(cells, now_ms=now_ms)


def version_map_rows(cells: Collection[Cell], *, now_ms: int) -> list[Statement]:
    """Return the rows that make every count invalid that release 1.0 has stored of these hours."""
    if not (cells and settings.MIXED_RELEASES):
        return []
    _, version = late_writes.writer.next_version(now_ms)
    entry, when = {OUR_NAME_IN_MAPS: version}, version * MICROSECONDS
    hours = {(cell.country, cell.hour_ms) for cell in cells}
    return [
        (
            UPDATE_VERSION_MAPS,
            (when, ttl_seconds(hour + domain.HOUR_MS, now_ms=now_ms), entry, entry, domain.day_of(hour), hour, country),
        )
        for country, hour in hours
    ]


def shards_of(country: str | None, hour_ms: int) -> int:
    """Return over how many partitions the starts of the country in this hour are spread.

    It depends on the hour, not on when it is written, so an event that is sent again has the same row.
    """
    return domain.shards_at(_parsed_shards(settings.COUNTRY_SHARDS), country or "", hour_ms)
