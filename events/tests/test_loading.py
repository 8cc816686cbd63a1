"""How an import writes: within Cassandra's limits, again what has failed, touching what may have been counted."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from events import loading, services
from events.counts import settle
from events.domain import DAY_MS, HOUR_MS, START, Event, Window, day_of, hour_of
from events.loading import EVENTS_PER_BATCH, Loader
from events.services import Writer, writer
from reports.selectors import report_window, starts_of_country
from sessions_project import cassandra
from sessions_project.cassandra import StatementRefused, StoreUnavailable

LONGEST_PLAYER_ID = "p" * 64


@pytest.fixture
def loader() -> Loader:
    return Loader(on_wait=lambda _: None)


def start(country: str, ts_ms: int) -> Event:
    return Event(START, LONGEST_PLAYER_ID, uuid.uuid4(), ts_ms, country)


def largest_events(country: str, now_ms: int) -> list[Event]:
    """Whose rows take the most room: each in an hour and a day of its own."""
    return [start(country, now_ms - number * DAY_MS) for number in range(300)]


def counted(country: str, now_ms: int) -> int:
    window = report_window(hours=8760, as_of_ms=now_ms, now_ms=now_ms)
    return starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)[0]


def test_the_largest_batches_are_within_the_limit(loader: Loader, country: str, now_ms: int) -> None:
    assert EVENTS_PER_BATCH < 300
    loader.write(largest_events(country, now_ms))
    loader.finish()
    assert counted(country, now_ms) == 300


def test_a_table_that_is_not_as_ours_is_not_waited_for(
    loader: Loader, country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a ring that is larger than the number of copies, where the nodes of each row are asked for first."""
    monkeypatch.setattr(cassandra, "every_node_holds_everything", lambda: False)
    monkeypatch.setattr(services, "INSERT_STARTED", "INSERT INTO {keyspace}.no_such_table (player_id) VALUES (?)")
    with pytest.raises(StatementRefused, match="no_such_table"):
        loader.write([start(country, now_ms)])


def test_what_is_refused_is_not_waited_for(
    loader: Loader, country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "EVENTS_PER_BATCH", 300)
    loader.write(largest_events(country, now_ms))
    with pytest.raises(StatementRefused, match="Batch too large"):
        loader.finish()


@pytest.mark.parametrize("every_node_holds_everything", [True, False])
def test_batches_that_failed_are_sent_again(
    country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch, every_node_holds_everything: bool
) -> None:
    waited: list[str] = []
    send_batch, fails = cassandra.send_batch, iter([True, True, False, True])

    def unreliable(*arguments: Any, **options: Any) -> cassandra.WriteUnderWay:
        if next(fails, False):
            raise StoreUnavailable("away")
        return send_batch(*arguments, **options)

    monkeypatch.setattr(loading, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(cassandra, "send_batch", unreliable)
    monkeypatch.setattr(cassandra, "every_node_holds_everything", lambda: every_node_holds_everything)
    loader = Loader(on_wait=waited.append)
    events = [start(country, now_ms - number) for number in range(20)]
    loader.write(events)
    loader.finish()
    assert len(waited) == 3
    assert counted(country, now_ms) == 20
    query = "SELECT session_id FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    stored = {session for (session,) in cassandra.execute(query, (LONGEST_PLAYER_ID,))}
    assert {event.session_id for event in events} <= stored


@pytest.fixture
def settled(country: str) -> Callable[[int], int]:
    """Has the hour at ``hour_ms`` counted as an import does in between; gives the count that is believed."""

    def settled(hour_ms: int) -> int:
        window = Window(hour_ms - 1, hour_ms + HOUR_MS - 1)
        settle([window], now_ms=loading.wall_clock_ms(), durable={writer.name: writer.version})
        return counted(country, loading.wall_clock_ms())

    return settled


def test_what_comes_behind_a_release_is_counted(
    loader: Loader, country: str, now_ms: int, settled: Callable[[int], int]
) -> None:
    hour_ms = hour_of(now_ms) - 5 * HOUR_MS
    for number in range(1, 4):
        loader.write([start(country, hour_ms + number)])
        loader.release()
        assert settled(hour_ms) == number


def test_a_day_is_not_settled_without_an_hour_that_others_have_written(
    loader: Loader, country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not when an earlier count of the day had seen what they wrote, and that of the hour is not there."""
    day_ms = day_of(now_ms) - 200 * DAY_MS
    ours, theirs = hour_of(day_ms) + HOUR_MS, hour_of(day_ms) + 2 * HOUR_MS
    day = Window(day_ms - 1, day_ms + DAY_MS - 1)

    with monkeypatch.context() as elsewhere:
        other = Writer()
        elsewhere.setattr(services, "writer", other)
        loader.write([start(country, theirs)])
        loader.release()
    both = {writer.name: writer.version, other.name: other.version}
    settle([day], now_ms=loading.wall_clock_ms(), durable=both)
    where, key = "WHERE day = ? AND hour = ? AND country = ?", (day_ms, theirs, country)
    assert cassandra.execute(f"SELECT starts FROM {{keyspace}}.country_hour {where}", key) == [(1,)]
    cassandra.execute(f"DELETE starts, counted FROM {{keyspace}}.country_hour {where}", key)

    loader.write([start(country, ours)])
    loader.release()
    settle([day], now_ms=loading.wall_clock_ms(), durable={writer.name: writer.version})
    assert cassandra.execute(f"SELECT starts FROM {{keyspace}}.country_hour {where}", key) == [(None,)]
    assert counted(country, loading.wall_clock_ms()) == 2
