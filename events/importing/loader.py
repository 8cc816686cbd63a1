"""Writing the events of a dump: the same rows as the API, in unlogged batches that are repeated until durable."""

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from events import domain
from events.batched import batched
from events.clock import oldest_kept_ms, wall_clock_ms
from events.domain import Event
from events.erased_players import erased_until
from events.rows import HourIndexEntry, country_rows, index_entries, index_rows, player_rows
from events.services import new_entries, remember_entries
from store import cassandra
from store.cassandra import Statement, WriteInFlight
from store.errors import StoreError, StoreUnavailable

# Larger batches write no faster. Cassandra refuses those of more than 50 KiB (batch_size_fail_threshold): a start has a
# row of 170 bytes and, in an hour and a day of its own, index entries and version maps of 240; an end has two rows.
EVENTS_PER_BATCH = 120
# Between attempts while Cassandra is unavailable.
RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Batch:
    """Events of which either the player rows or the country rows are being written."""

    of_countries: bool
    events: list[Event]
    index_entries: set[HourIndexEntry] = field(default_factory=set)
    write: WriteInFlight | None = None


class Loader:
    """Writes events through one process's session; ``completed`` batches of those ``submitted`` are durable, in order.

    One batch is in flight while the next lines are validated. With three an import is no faster, because other workers
    keep the nodes busy, and what a service sends to them meanwhile waits longer.

    While Cassandra is unavailable it waits, calls ``on_wait`` with the reason, and goes on. Nothing is skipped. Raises
    StatementRejected when waiting would be in vain.

    Events have been moved by ``shift_ms``, and those without a moment have that of ``received_ms``: both matter for
    players who were erased.
    """

    def __init__(self, *, on_wait: Callable[[str], None], shift_ms: int = 0, received_ms: int | None = None) -> None:
        self.submitted = 0
        self.completed = 0
        self._on_wait = on_wait
        self._shift_ms = shift_ms
        self._received_ms = received_ms
        self._in_flight: _Batch | None = None

    def write(self, events: Sequence[Event]) -> None:
        """Send the events; return when all are sent, and all but the last batch durable.

        Raises StatementRejected, and StoreUnavailable only when there was no connection yet. The events are sorted by
        partition: Cassandra makes one mutation of all rows of a batch that share a partition, which halves its work.
        """
        by_player = sorted(events, key=_player)
        by_country = sorted((event for event in events if event.kind == domain.START), key=_country_and_moment)
        for of_countries, some in ((False, by_player), (True, by_country)):
            for group in self._by_replicas(some, of_countries=of_countries):
                for batch in batched(group, EVENTS_PER_BATCH):
                    self._submit(_Batch(of_countries, list(batch)))

    def without_erased(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that are not of erased players, once the list of these can be read."""
        while True:
            try:
                return self._without_erased(events)
            except StoreUnavailable as error:
                self._wait(error)

    def _without_erased(self, events: Sequence[Event]) -> list[Event]:
        """Return the events of players who were not erased, or that happened later, by the moment of their line.

        A line without a moment tells nothing of when it happened: of an erased player it is left out.
        """
        until = erased_until()
        if not until:
            return [*events]
        return [
            event
            for event in events
            if event.player_id not in until
            or (event.ts_ms - self._shift_ms > until[event.player_id] and event.ts_ms != self._received_ms)
        ]

    def finish(self) -> None:
        """Return when everything that was submitted is durable."""
        batch, self._in_flight = self._in_flight, None
        if batch:
            self._complete(batch)

    def _by_replicas(self, events: Sequence[Event], *, of_countries: bool) -> Iterable[Sequence[Event]]:
        """Return the events in groups that each lie on the same nodes, one of which can write a batch by itself."""
        if cassandra.every_node_holds_everything():
            return [events]
        rows_of = country_rows if of_countries else player_rows
        groups: dict[Hashable, list[Event]] = defaultdict(list)
        for event in events:
            groups[self._replica_set(*rows_of([event], now_ms=event.ts_ms)[0])].append(event)
        return groups.values()

    def _replica_set(self, cql: str, values: Sequence[Any]) -> Hashable:
        """Return it as cassandra.py does; the first time it asks a node to prepare the statement."""
        while True:
            try:
                return cassandra.replica_set(cql, values)
            except StoreUnavailable as error:
                self._wait(error)

    def _submit(self, batch: _Batch) -> None:
        self.finish()
        self._in_flight = batch
        self.submitted += 1
        self._send(batch)

    def _send(self, batch: _Batch) -> None:
        """Send without waiting; a batch that cannot even be sent is left for _complete."""
        now_ms = wall_clock_ms()
        oldest_ms = oldest_kept_ms(now_ms)
        batch.events = [event for event in batch.events if event.ts_ms >= oldest_ms]
        try:
            batch.events = self._without_erased(batch.events)
            rows = self._rows(batch, now_ms=now_ms)
            batch.write = cassandra.send_batch(rows, seconds=settings.CASSANDRA_TIMEOUT_SECONDS) if rows else None
        except StoreUnavailable:
            batch.write = None

    def _rows(self, batch: _Batch, *, now_ms: int) -> list[Statement]:
        if not batch.of_countries:
            return player_rows(batch.events, now_ms=now_ms)
        batch.index_entries = index_entries(batch.events)
        return country_rows(batch.events, now_ms=now_ms) + index_rows(new_entries(batch.index_entries), now_ms=now_ms)

    def _complete(self, batch: _Batch) -> None:
        """Return when the batch is durable, sending it again as often as that takes."""
        while batch.events:
            try:
                if batch.write is None:
                    raise StoreUnavailable("The batch could not be sent.")
                batch.write.wait()
                break
            except StoreUnavailable as error:
                self._wait(error)
                self._send(batch)
        remember_entries(batch.index_entries)
        self.completed += 1

    def _wait(self, error: StoreUnavailable) -> None:
        """Wait for Cassandra to come back."""
        self._on_wait(readable_cause(error))
        time.sleep(RETRY_SECONDS)


def readable_cause(error: StoreError) -> str:
    """Return what the nodes said, or the network, without the names of classes; each cause once."""
    cause = error.__cause__ or error
    causes = getattr(cause, "errors", None)
    several = causes.values() if isinstance(causes, dict) and causes else [cause]
    # The driver tells of each address that it tried, and in the end of what came of it.
    return "; ".join(dict.fromkeys(str(one).rpartition("Last error: ")[2].rstrip(".") for one in several))


def _player(event: Event) -> str:
    return event.player_id


def _country_and_moment(event: Event) -> tuple[str | None, int]:
    return event.country, event.ts_ms
