"""How each table is kept: a new one without an entry here fails ``events/tests/test_audit_store.py``."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from events import erased_players, late_writes, rows
from events.models import (
    CompletedSessionByPlayerId,
    CountryHour,
    ErasedPlayer,
    LateWrite,
    SessionByCountry,
    SessionByPlayerId,
    StartCount,
    Table,
)
from events.upkeep import exporting, row_checks
from events.upkeep.exporting import JsonRow
from events.upkeep.row_checks import Clock, Problem
from store.cassandra import Row


class Reading(NamedTuple):
    """What is read of a table's rows, with times to live and write timestamps, and what can be wrong with one."""

    columns: str
    check: Callable[[Row, Clock], Iterable[Problem]]

    def cql(self, table: Table) -> str:
        """Return the statement that reads the partitions behind one token, up to and including another."""
        token = f"token({', '.join(table._partition_keys)})"
        return f"{self._all(table)} WHERE {token} > ? AND {token} <= ?"

    def cql_of_partition(self, table: Table) -> str:
        """Return the statement that reads one partition."""
        return f"{self._all(table)} WHERE {' AND '.join(f'{name} = ?' for name in table._partition_keys)}"

    def _all(self, table: Table) -> str:
        return f"SELECT {self.columns} FROM {{keyspace}}.{table.__table_name__}"  # noqa: S608  # all ours


class Upkeep(NamedTuple):
    """How a table is kept.

    How it is audited, how the rows of a player are erased and exported, and what makes its rows in an import.
    """

    audited: Sequence[Reading]
    erased: Callable[[Row, Clock], Iterable[Problem]]
    exported: Callable[[str], Iterator[JsonRow]]
    imported: Callable[..., Any]


UPKEEP: dict[Table, Upkeep] = {
    SessionByCountry: Upkeep(
        audited=[
            Reading(
                "country, toUnixTimestamp(hour), shard, toUnixTimestamp(ts), session_id, player_id, "
                "TTL(player_id), WRITETIME(player_id)",
                row_checks.check_start,
            )
        ],
        erased=row_checks.erase_start,
        exported=exporting.starts_of,
        imported=rows.country_rows,
    ),
    SessionByPlayerId: Upkeep(
        audited=[
            Reading(
                "player_id, session_id, country, toUnixTimestamp(started_at), toUnixTimestamp(ended_at), "
                "TTL(started_at), WRITETIME(started_at), TTL(country), WRITETIME(country), "
                "TTL(ended_at), WRITETIME(ended_at)",
                row_checks.check_session,
            )
        ],
        erased=row_checks.erase_session,
        exported=exporting.sessions_of,
        imported=rows.player_rows,
    ),
    CompletedSessionByPlayerId: Upkeep(
        audited=[Reading("player_id, toUnixTimestamp(ended_at), session_id", row_checks.check_completed)],
        erased=row_checks.erase_completed,
        exported=exporting.ends_of,
        imported=rows.player_rows,
    ),
    CountryHour: Upkeep(
        audited=[
            Reading("DISTINCT toUnixTimestamp(day)", row_checks.check_index_day),
            Reading(
                "toUnixTimestamp(day), toUnixTimestamp(hour), country, shards, TTL(shards), WRITETIME(shards)",
                row_checks.check_index_entry,
            ),
        ],
        erased=row_checks.names_no_player,
        exported=exporting.nothing_of,
        imported=rows.index_rows,
    ),
    StartCount: Upkeep(
        audited=[
            Reading(
                "DISTINCT toUnixTimestamp(day), day_last_slot, TTL(day_last_slot), WRITETIME(day_last_slot), "
                "day_hours, TTL(day_hours), WRITETIME(day_hours)",
                row_checks.check_count_day,
            ),
            Reading(
                "toUnixTimestamp(day), toUnixTimestamp(hour), country, last_slot, TTL(last_slot), "
                "WRITETIME(last_slot), minutes, TTL(minutes), WRITETIME(minutes)",
                row_checks.check_count,
            ),
        ],
        erased=row_checks.names_no_player,
        exported=exporting.nothing_of,
        imported=late_writes.register_rows,
    ),
    LateWrite: Upkeep(
        audited=[Reading("slot, writer, version, cells, TTL(cells), WRITETIME(cells)", row_checks.check_late_write)],
        erased=row_checks.names_no_player,
        exported=exporting.nothing_of,
        imported=late_writes.announce_hours,
    ),
    # The list itself: whoever is on it stays on it, so that an old dump brings nothing back. Imports obey it.
    ErasedPlayer: Upkeep(
        audited=[
            Reading(
                "bucket, player_id, toUnixTimestamp(until), TTL(until), WRITETIME(until)",
                row_checks.check_erased_player,
            )
        ],
        erased=row_checks.names_no_player,
        exported=exporting.erasure_entry_of,
        imported=erased_players.erased_until,
    ),
}
