"""The rows of a player in all tables, as JSON lines; the last line says how many there are."""

import json
from collections.abc import Callable, Iterator

from events.models import SessionByCountry, Table
from events.upkeep.exporting import STARTS_SECONDS, JsonRow, StartKey, starts_at
from events.upkeep.tables import UPKEEP
from events.upkeep.walk import Progress, Walk, ranges_of

MEDIA_TYPE = "application/x-ndjson"


def lines_of(player_id: str, *, without: Table | None = None) -> Iterator[str]:
    """Yield a line for each row of the player in each table, but for one. Raises StoreError."""
    for table, upkeep in UPKEEP.items():
        if table is not without:
            yield from (_line(table.__table_name__, row) for row in upkeep.exported(player_id))


def last_line(rows: int) -> str:
    """Return the line that tells that nothing was cut off."""
    return json.dumps({"rows": rows}) + "\n"


def _line(table: str, row: JsonRow) -> str:
    return json.dumps({"table": table, "row": row}) + "\n"


class StartsOfPlayer(Walk):
    """A reading of ``session_by_country`` for the starts of one player, also those that were superseded."""

    def __init__(self, player_id: str, *, most_rows: int, on_progress: Callable[[Progress], None]) -> None:
        super().__init__(most_rows=most_rows, on_progress=on_progress)
        self._player_id = player_id
        self._units = ranges_of(SessionByCountry)
        self._done = 0
        self._rows = 0

    def lines(self) -> Iterator[str]:
        """Yield a line for each. Raises Stopped, StatementRejected."""
        [reading] = UPKEEP[SessionByCountry].audited
        for number, unit in enumerate(self._units):
            self._done = number
            for page, _ in self._pages(reading, unit.table, after=unit.after, until=unit.until):
                self._rows += len(page)
                keys = [(*row[:3], row[3], row[4]) for row in page if row[5] == self._player_id]
                for row in self._patiently(lambda keys=keys: self._starts_at(keys)):  # type: ignore[misc]
                    yield _line(unit.table.__table_name__, row)

    def _starts_at(self, keys: list[StartKey]) -> list[JsonRow]:
        return [*starts_at(keys, self._player_id, seconds=STARTS_SECONDS)]

    def _progress(self) -> Progress:
        return Progress(self._units[self._done], self._done, len(self._units), self._rows)
