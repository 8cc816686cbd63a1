"""The tables, one per question; ``manage.py sync_cassandra`` creates them. Queries live elsewhere.

Every row of an event is written ``USING TIMESTAMP <event time in µs> AND TTL <event time + retention - now>``: sending
an event again changes nothing, and a row goes one retention after the event happened, however late it arrived.
"""

import math
import re

from cassandra.cqlengine import columns
from cassandra.cqlengine.models import Model
from django.conf import settings

# 20 to 30 are what the documentation of Cassandra's TimeWindowCompactionStrategy advises; whole files of expired rows
# are then dropped without being rewritten.
WINDOWS = 25
# With their full names: Cassandra tells them so, and cqlengine would change what differs, each time.
COMPACTION = "org.apache.cassandra.db.compaction"
COUNTRY_COMPACTION = {
    "class": f"{COMPACTION}.TimeWindowCompactionStrategy",
    "compaction_window_unit": "DAYS",
    "compaction_window_size": str(math.ceil(settings.RETENTION_SECONDS / WINDOWS / 86_400)),
    # A single late event keeps its file, and with it every older one, for another year. So a file of which nearly all
    # has expired is rewritten, whatever the others hold. Of what has expired Cassandra counts rows and cells, of what
    # there is cells only, and a row has one: 1.8 is nine tenths.
    "tombstone_threshold": "1.8",
    "unchecked_tombstone_compaction": "true",
}
# 5.0's strategy for reads that cross all time; T4 behaves like the size-tiered default under our mixed load.
PLAYER_COMPACTION = {"class": f"{COMPACTION}.UnifiedCompactionStrategy", "scaling_parameters": "T4"}

# Markers live for a day: files of four hours are dropped whole when the next ones are there.
MARKER_COMPACTION = {
    "class": f"{COMPACTION}.TimeWindowCompactionStrategy",
    "compaction_window_unit": "HOURS",
    "compaction_window_size": "4",
}
# As long as a node keeps hints for another one. Nothing is deleted: what is brought back late has expired.
MARKER_GRACE_SECONDS = 10_800


class SessionByCountry(Model):
    """Which sessions started in a country during an hour, newest first?

    A partition is one shard of one country and hour: 100 MB at about 350 starts a second. Rows go one retention after
    the start. Both clustering columns descend, so that one tuple comparison continues a page.
    """

    __table_name__ = "session_by_country"
    __options__ = {"compaction": COUNTRY_COMPACTION}

    country = columns.Text(partition_key=True)  # two upper-case letters
    hour = columns.DateTime(partition_key=True)  # its beginning, UTC
    shard = columns.Integer(partition_key=True)  # session_id mod COUNTRY_SHARDS of the hour
    ts = columns.DateTime(primary_key=True, clustering_order="DESC")  # when the session started
    session_id = columns.UUID(primary_key=True, clustering_order="DESC")  # two starts in one millisecond are two rows
    player_id = columns.Text()


class SessionByPlayerId(Model):
    """When did this session of this player start and end, and where?

    A partition is one player: a hundred sessions a day for a year are 2.6 MB. A start writes ``started_at`` and
    ``country``, an end writes ``ended_at``; the columns are disjoint, so either may come first and nothing is read
    before a write. Each column goes one retention after its own event.
    """

    __table_name__ = "session_by_player_id"
    __options__ = {"compaction": PLAYER_COMPACTION}

    player_id = columns.Text(partition_key=True)
    session_id = columns.UUID(primary_key=True)
    country = columns.Text()  # of the start; null until it has come
    started_at = columns.DateTime()  # of the latest start; null until it has come
    ended_at = columns.DateTime()  # of the latest end; null until one has come


class CompletedSessionByPlayerId(Model):
    """In which order did this player's sessions end, newest first?

    A partition is one player, a row each end event. When a session has two ends, the row of the earlier one is stale:
    readers drop a row whose ``ended_at`` is not that of its session. Rows go one retention after the end.
    """

    __table_name__ = "completed_session_by_player_id"
    __options__ = {"compaction": PLAYER_COMPACTION}

    player_id = columns.Text(partition_key=True)
    ended_at = columns.DateTime(primary_key=True, clustering_order="DESC")
    session_id = columns.UUID(primary_key=True, clustering_order="DESC")


class CountryHour(Model):
    """Which countries have starts in which hours, and over how many shards?

    A partition is one day: at most 24 hours x 676 countries. Written with the events; rows go one retention after their
    hour. The columns below ``shards`` are those of release 1.0, which stored its counts here: this one writes the two
    maps while processes of both run (MIXED_RELEASES), and reads them then.
    """

    __table_name__ = "country_hour"
    __options__ = {"compaction": PLAYER_COMPACTION}

    day = columns.DateTime(partition_key=True)  # its beginning, UTC
    hour = columns.DateTime(primary_key=True)
    country = columns.Text(primary_key=True)
    shards = columns.Integer()  # the most that any writer used: written at timestamp hour + N, so the largest wins
    touched = columns.Map(columns.Text, columns.BigInt)  # version map of late writes into this hour: {writer: version}
    starts = columns.BigInt()  # how many starts the whole hour held
    counted = columns.Text()  # ``touched`` as it was when they were counted, as JSON
    minutes = columns.Text()  # likewise, then how many starts each minute held: a JSON array
    day_touched = columns.Map(columns.Text, columns.BigInt, static=True)  # the same for all hours of the day
    day_starts = columns.Text(static=True)  # {country: [shards, starts of hour 0, of hour 1, ...]} as JSON
    day_counted = columns.Text(static=True)  # ``day_touched`` as it was when they were counted, as JSON


class StartCount(Model):
    """How many starts did an hour of a country hold when it was counted, and which late writes does that include?

    A partition is one day. Counts are JSON (events/counting/stored.py), written by reports, by the import and in the
    background; the two slots are registers, written with each late start: see events/late_writes.py. Rows go one
    retention after their hour, the slots after their day.
    """

    __table_name__ = "start_count"
    __options__ = {"compaction": PLAYER_COMPACTION}

    day = columns.DateTime(partition_key=True)  # its beginning, UTC
    hour = columns.DateTime(primary_key=True)
    country = columns.Text(primary_key=True)
    last_slot = columns.BigInt()  # in which a late start came; written at the timestamp of its value: the largest wins
    minutes = columns.Text()  # position, then how many starts each minute held
    day_last_slot = columns.BigInt(static=True)  # the same for the whole day
    day_hours = columns.Text(static=True)  # position, then for each country its shards and the starts of each hour


class LateWrite(Model):
    """Which minutes were written to late, by time of arrival?

    A partition is a slot of ten seconds: a row for each group of late starts that a process stored together. Rows go
    after a day: by then counts include what they name.
    """

    __table_name__ = "late_write"
    __options__ = {"compaction": MARKER_COMPACTION, "gc_grace_seconds": MARKER_GRACE_SECONDS}

    slot = columns.BigInt(partition_key=True)  # seconds since 1970 / 10
    writer = columns.Text(primary_key=True)  # a process
    version = columns.BigInt(primary_key=True)  # milliseconds since 1970; of one writer it only rises
    cells = columns.Text()  # JSON: [country, hour in milliseconds since 1970, minute or -1, shards] of each


class ErasedPlayer(Model):
    """Whose events are discarded that happened at or before which moment?

    A partition is a sixteenth of the players. Rows stay for ever: an old dump may be imported at any time. A row is
    written at the timestamp of ``until``, so the latest request wins; its state ``done`` at one microsecond more.
    """

    __table_name__ = "erased_player"
    __options__ = {"compaction": PLAYER_COMPACTION}

    bucket = columns.Integer(partition_key=True)  # of the id's bytes: see events/erased_players.py
    player_id = columns.Text(primary_key=True)
    until = columns.DateTime()  # the moment of the request, and as much later as an event may be ahead
    requested_at = columns.DateTime()
    requested_by = columns.Text()  # the name of a key, or how it was asked for
    state = columns.Text()  # pending, done
    changes = columns.Map(columns.Text, columns.BigInt, static=True)  # {writer: version}: read again when it differs


Table = type[Model]
TABLES: tuple[Table, ...] = (
    SessionByCountry,
    SessionByPlayerId,
    CompletedSessionByPlayerId,
    CountryHour,
    StartCount,
    LateWrite,
    ErasedPlayer,
)


def _patience(milliseconds: int) -> dict[str, str]:
    """Return the options that have another replica asked when one says nothing for this long.

    A fixed time. The default is the 99th percentile, which grows past our timeout while a node is unavailable; and any
    percentile counts as half the read timeout (2.5 s) in a node through which the table has not been read yet.
    """
    return dict.fromkeys(("speculative_retry", "additional_write_policy"), f"{milliseconds}ms")


# Counting reads thousands of rows. When a node is back and does not have them all yet, the answers of a quorum differ,
# and to repair them inside the read took up to 2 s. Hints bring them without; and files of this compaction strategy
# should hold no rows of other days, which repairs would bring into them.
READ_OPTIONS: dict[Table, dict[str, str]] = {
    SessionByCountry: {**_patience(200), "read_repair": "NONE"},
    SessionByPlayerId: _patience(50),
    CompletedSessionByPlayerId: _patience(50),
    CountryHour: _patience(50),
    StartCount: _patience(50),
    LateWrite: _patience(50),
    ErasedPlayer: _patience(50),
}

# Of all tables together: one more for each release that changes them. Tables and columns are added, never taken away or
# given another meaning, so a release works on the tables of a later one (events/tests/test_schema_version.py).
SCHEMA_VERSION = 2
# The comment of a table tells it, so it is a part of the schema: TRUNCATE leaves it, and a snapshot has it.
VERSION_TABLE = SessionByCountry
VERSION_COMMENT = "schema version {}"


def schema_version_of(comment: str) -> int:
    """Return the version that the comment of VERSION_TABLE tells; release 1.0 wrote none.

    >>> schema_version_of(VERSION_COMMENT.format(7)), schema_version_of("")
    (7, 1)
    """
    found = re.fullmatch(VERSION_COMMENT.format(r"(\d+)"), comment)
    return int(found[1]) if found else 1
