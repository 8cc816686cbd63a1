"""The tables of the earlier service, read as dumps: a JSON line for each row, in the order of the ring.

``session_by_country (player_id, ts, country, event, session_id, PRIMARY KEY (country, ts))`` and
``session_by_player_id (..., PRIMARY KEY (player_id, ts))`` hold the same events, so each is read twice; where two
events had one key, one of the tables still has both. An event without a session gets an id that is made from it, the
same from both tables.
"""

import json
import re
import time
from collections.abc import Generator
from typing import Any
from uuid import uuid5

from events.importing.dump import Block, Dump, DumpError
from events.importing.lines import NAMESPACE
from events.importing.terminal import note
from store import cassandra
from store.cassandra import Page
from store.errors import StatementRejected, StoreUnavailable
from store.token_ranges import LAST_TOKEN, token_ranges

TABLES = {"session_by_country": "country", "session_by_player_id": "player_id"}
KEYSPACE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}\Z")
RANGES = 256
ROWS_PER_PAGE = 2_000
RETRY_SECONDS = 1.0


class KeyspaceDump(Dump):
    """One of the tables. Its ``size`` and the positions of its blocks are parts of the ring."""

    def __init__(self, keyspace: str, table: str) -> None:
        """Look at it. Raises DumpError when it is not there, or has other columns."""
        if not KEYSPACE.match(keyspace):
            raise DumpError(f"{keyspace!r} is no name of a keyspace.")
        self.name = f"{keyspace}.{table}"
        self.warnings: list[str] = []
        self.size = RANGES
        token = f"token({TABLES[table]})"
        columns = "player_id, ts, country, event, session_id"
        self._cql = f"SELECT JSON {columns} FROM {self.name} WHERE {token} > ? AND {token} <= ?"  # noqa: S608  # all ours
        try:
            cassandra.read_page(self._cql, (LAST_TOKEN - 1, LAST_TOKEN), rows=1)
        except StatementRejected as error:
            raise DumpError(f"{self.name} is no table of the earlier service: {error}") from error
        except StoreUnavailable as error:
            raise DumpError(f"{self.name} cannot be read: {error}.") from error

    def identity(self) -> str:
        """Return what differs between tables, for a checkpoint to remember."""
        return f"table {self.name}"

    def blocks(self) -> Generator[Block, None, None]:
        """Yield all rows as lines, in the same order each time while nothing is written there.

        Waits while Cassandra is unavailable.
        """
        self.warnings.clear()
        line, without_session = 1, 0
        for number, (after, until) in enumerate(token_ranges(RANGES), 1):
            for page in self._pages(after, until):
                rows = [json.loads(text) for (text,) in page.rows]
                without_session += sum(row["session_id"] is None for row in rows)
                if rows:
                    yield Block(line, [_line(row) for row in rows], number)
                    line += len(rows)
        if without_session:
            self.warnings.append(
                f"{self.name}: {without_session:,} events have no session: each is one by itself, because nothing "
                "tells which start and end belong together."
            )

    def _pages(self, after: int, until: int) -> Generator[Page, None, None]:
        next_page: bytes | None = None
        is_waiting = False
        while True:
            try:
                page = cassandra.read_page(self._cql, (after, until), rows=ROWS_PER_PAGE, after=next_page)
            except StoreUnavailable as error:
                if not is_waiting:
                    note(f"Waiting for Cassandra, to read {self.name}: {error}")
                is_waiting = True
                time.sleep(RETRY_SECONDS)
                continue
            is_waiting = False
            yield page
            if page.next is None:
                return
            next_page = page.next


def _line(row: dict[str, Any]) -> bytes:
    """Return a row as a line of a dump."""
    if row["session_id"] is None:
        row["session_id"] = str(uuid5(NAMESPACE, f"{row['player_id']} {row['ts']} {row['event']}"))
    return json.dumps(row).encode()
