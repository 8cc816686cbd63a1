"""How an import writes: within Cassandra's limits, and again what has failed."""

import uuid
from typing import Any

import pytest

from events import rows
from events.domain import DAY_MS, START, Event, hour_of
from events.importing import loader as loader_module
from events.importing.loader import EVENTS_PER_BATCH, Loader
from events.importing.written_hours import WrittenHours
from reports.starts import report_window, starts_of_country
from store import cassandra
from store.errors import StatementRejected, StoreUnavailable

LONGEST_PLAYER_ID = "p" * 64


@pytest.fixture
def loader() -> Loader:
    return Loader(on_wait=lambda _: None)


def start(country: str, ts_ms: int) -> Event:
    return Event(START, LONGEST_PLAYER_ID, uuid.uuid4(), ts_ms, country)


def largest_events(country: str, now_ms: int) -> list[Event]:
    """Whose rows take the most room: each in an hour and a day of its own."""
    return [start(country, now_ms - number * DAY_MS) for number in range(300)]


def counted(country: str, now_ms: int, events: list[Event]) -> int:
    """As a report has it once the import has announced what it has written."""
    written = WrittenHours()
    written.add((country, hour_of(event.ts_ms)) for event in events)
    written.announce()
    window = report_window(hours=8760, as_of_ms=now_ms, now_ms=now_ms)
    return starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)[0]


def test_the_largest_batches_are_within_the_limit(loader: Loader, country: str, now_ms: int) -> None:
    assert EVENTS_PER_BATCH < 300
    loader.write(events := largest_events(country, now_ms))
    loader.finish()
    assert counted(country, now_ms, events) == 300


def test_a_table_that_is_not_as_ours_is_not_waited_for(
    loader: Loader, country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a ring that is larger than the number of copies, where the nodes of each row are asked for first."""
    monkeypatch.setattr(cassandra, "every_node_holds_everything", lambda: False)
    monkeypatch.setattr(rows, "INSERT_STARTED", "INSERT INTO {keyspace}.no_such_table (player_id) VALUES (?)")
    with pytest.raises(StatementRejected, match="no_such_table"):
        loader.write([start(country, now_ms)])


def test_what_is_refused_is_not_waited_for(
    loader: Loader, country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "EVENTS_PER_BATCH", 300)
    loader.write(largest_events(country, now_ms))
    with pytest.raises(StatementRejected, match="Batch too large"):
        loader.finish()


@pytest.mark.parametrize("every_node_holds_everything", [True, False])
def test_batches_that_failed_are_sent_again(
    country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch, every_node_holds_everything: bool
) -> None:
    waited: list[str] = []
    send_batch, fails = cassandra.send_batch, iter([True, True, False, True])

    def unreliable(*arguments: Any, **options: Any) -> cassandra.WriteInFlight:
        if next(fails, False):
            raise StoreUnavailable("unavailable")
        return send_batch(*arguments, **options)

    monkeypatch.setattr(loader_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(cassandra, "send_batch", unreliable)
    monkeypatch.setattr(cassandra, "every_node_holds_everything", lambda: every_node_holds_everything)
    loader = Loader(on_wait=waited.append)
    events = [start(country, now_ms - number) for number in range(20)]
    loader.write(events)
    loader.finish()
    assert len(waited) == 3
    assert counted(country, now_ms, events) == 20
    query = "SELECT session_id FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    stored = {session for (session,) in cassandra.execute(query, (LONGEST_PLAYER_ID,))}
    assert {event.session_id for event in events} <= stored
