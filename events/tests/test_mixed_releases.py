"""Processes of release 1.0 beside this one: each counts what the other has written late."""

import uuid

import pytest

from events import late_writes
from events.counting.hours import bring_up_to_date, count_starts
from events.counting.validity import MARGIN_MS
from events.domain import DAY_MS, HOUR_MS, START, Event, Window, day_of, hour_of
from events.rows import OUR_NAME_IN_MAPS, country_rows, index_entries, index_rows
from events.services import record_events
from store import cassandra

UPDATE_MAPS = """
    UPDATE {keyspace}.country_hour SET touched = touched + ?, day_touched = day_touched + ?
    WHERE day = ? AND hour = ? AND country = ?"""


def record_as_release_1(country: str, ts_ms: int, *, now_ms: int, writer: str = "an older process") -> None:
    """The rows of a late start, and what release 1.0 writes into its version maps."""
    event = Event(START, "older", uuid.uuid4(), ts_ms, country)
    rows = country_rows([event], now_ms=now_ms) + index_rows(index_entries([event]), now_ms=now_ms)
    entry = {writer: now_ms}
    rows.append((UPDATE_MAPS, (entry, entry, day_of(ts_ms), hour_of(ts_ms), country)))
    cassandra.execute_batch(rows, seconds=5)


def counted(country: str, day: int, *, now_ms: int, of_all: bool) -> int:
    window = Window(day + 30_000, day + DAY_MS - 1)
    deadline = cassandra.deadline_from_now()
    asked = None if of_all else country
    return sum(count_starts(window=window, now_ms=now_ms, deadline=deadline, country=asked).starts.get(country, []))


@pytest.mark.parametrize("of_all", [True, False])
def test_late_starts_of_an_older_process_are_counted(country: str, now_ms: int, of_all: bool) -> None:
    """At once, while nothing can be stored; when it is stored; and those that come then."""
    day = day_of(now_ms) - (30 + of_all) * DAY_MS
    record_events([Event(START, "ours", uuid.uuid4(), day + HOUR_MS, country)], now_ms=now_ms)
    bring_up_to_date([day], now_ms=now_ms)
    for number in range(2, 5):
        # A while ago for the second one: its entry is older than the margin, and the counts are stored again.
        at_ms = now_ms - (number == 3) * 2 * MARGIN_MS
        record_as_release_1(country, day + HOUR_MS * number, now_ms=at_ms, writer=f"older {number}")
        assert counted(country, day, now_ms=now_ms, of_all=of_all) == number
        bring_up_to_date([day], now_ms=now_ms)
        assert counted(country, day, now_ms=now_ms, of_all=of_all) == number


def maps(country: str, ts_ms: int) -> list[dict[str, int]]:
    query = "SELECT touched, day_touched FROM {keyspace}.country_hour WHERE day = ? AND hour = ? AND country = ?"
    return [dict(one or {}) for one in cassandra.execute(query, (day_of(ts_ms), hour_of(ts_ms), country))[0]]


def test_an_older_process_sees_that_its_counts_are_not_complete(country: str, now_ms: int) -> None:
    ts = day_of(now_ms) - 33 * DAY_MS + HOUR_MS
    record_events([Event(START, "ours", uuid.uuid4(), ts, country)], now_ms=now_ms)
    before = maps(country, ts)
    record_events([Event(START, "ours", uuid.uuid4(), ts, country)], now_ms=now_ms)
    assert all(then != now for then, now in zip(before, maps(country, ts), strict=True))
    assert all(set(one) == {OUR_NAME_IN_MAPS} for one in maps(country, ts))


def test_the_maps_of_this_release_do_not_grow_with_every_process(country: str, now_ms: int, monkeypatch) -> None:
    ts = day_of(now_ms) - 35 * DAY_MS + HOUR_MS
    for _ in range(3):
        monkeypatch.setattr(late_writes, "writer", late_writes.Writer())
        record_events([Event(START, "ours", uuid.uuid4(), ts, country)], now_ms=now_ms)
    assert [len(one) for one in maps(country, ts)] == [1, 1]


def test_without_older_processes_no_maps_are_written(country: str, now_ms: int, settings) -> None:
    settings.MIXED_RELEASES = False
    ts = day_of(now_ms) - 34 * DAY_MS + HOUR_MS
    record_events([Event(START, "ours", uuid.uuid4(), ts, country)], now_ms=now_ms)
    of_hour, of_day = maps(country, ts)
    assert of_hour == {}
    record_events([Event(START, "ours", uuid.uuid4(), ts, country)], now_ms=now_ms)
    assert maps(country, ts) == [{}, of_day]
    assert counted(country, day_of(ts), now_ms=now_ms, of_all=False) == 2
