"""The hours that an import has written to: announced to reports, and counted by its workers at the end."""

from collections.abc import Iterable

from django.conf import settings

from events import domain, late_writes
from events.batched import batched
from events.clock import oldest_kept_ms, wall_clock_ms
from events.late_writes import LATE_MS, WHOLE_HOUR, Cell
from events.rows import version_map_rows
from store import cassandra

# Of the version maps of release 1.0, by one statement: 20 KiB.
MAPS_PER_BATCH = 100


class WrittenHours:
    """The countries and hours, and the days, in which sessions started that one import has made durable."""

    def __init__(self) -> None:
        self._unannounced: set[tuple[str, int]] = set()
        self._days: set[int] = set()

    def add(self, hours: Iterable[tuple[str, int]]) -> None:
        """Note countries and hours in which sessions started that are durable now."""
        self._unannounced.update(hours)

    def announce(self) -> None:
        """Leave one marker for all that was noted, so that no report lacks it. Raises StoreError."""
        took_ms = LATE_MS
        while took_ms >= LATE_MS:  # markers of a process that was paused may be in slots that were counted meanwhile
            now_ms = wall_clock_ms()
            self._announce(now_ms)
            took_ms = wall_clock_ms() - now_ms
        self._unannounced.clear()

    def _announce(self, now_ms: int) -> None:
        seconds = settings.CASSANDRA_TIMEOUT_SECONDS
        young = {one for one in self._unannounced if one[1] + domain.HOUR_MS > oldest_kept_ms(now_ms)}
        maps = version_map_rows([Cell(country, hour, WHOLE_HOUR, 1) for country, hour in young], now_ms=now_ms)
        in_flight = [cassandra.send_batch(rows, seconds=seconds) for rows in batched(maps, MAPS_PER_BATCH)]
        late_writes.announce_hours({hour for _, hour in young}, now_ms=now_ms, seconds=seconds)
        for write in in_flight:
            write.wait()
        self._days.update(domain.day_of(hour) for _, hour in young)

    def shares(self, number: int) -> list[list[int]]:
        """Return the days that were announced, newest first, in ``number`` lists of about the same length."""
        days = sorted(self._days, reverse=True)
        return [days[first::number] for first in range(number)]
