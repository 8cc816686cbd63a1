"""What late starts leave behind: registers that only rise, and markers that are sent in their order."""

import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from events import late_writes
from events.commits import commits
from events.counting.validity import LateWrites, Marker, Position, read_late_writes
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, START, Event, day_of, hour_of
from events.late_writes import CLOCK_SET_BACK_MS, LATE_MS, SLOT_MS, Cell, register_rows, slot_of
from events.services import record_events
from store import cassandra
from store.cassandra import Statement
from store.errors import StoreUnavailable


def markers(now_ms: int) -> list[Marker]:
    """All that is there of the last minutes."""
    slots = range(slot_of(now_ms) - 30, slot_of(now_ms) + 30)
    return list(read_late_writes(slots, [Position(0, {})], deadline=cassandra.deadline_from_now()).markers)


def record(country: str, *moments: int, now_ms: int) -> None:
    record_events([Event(START, "late", uuid.uuid4(), ts, country) for ts in moments], now_ms=now_ms)


def test_a_late_start_is_named_by_a_marker_and_a_prompt_one_is_not(country: str, now_ms: int) -> None:
    late, prompt = now_ms - 5 * HOUR_MS, now_ms - 1_000
    record(country, late, late, prompt, now_ms=now_ms)
    named = [cell for marker in markers(now_ms) for cell in marker.cells if cell.country == country]
    assert named == [Cell(country, hour_of(late), (late - hour_of(late)) // MINUTE_MS, 1)]


def test_a_register_holds_the_largest_slot_whatever_came_last(country: str, now_ms: int) -> None:
    hour = hour_of(now_ms) - 200 * DAY_MS
    for behind_ms in (60_000, 0, 30_000):
        rows = register_rows([Cell(country, hour, 3, 1)], now_ms=now_ms - behind_ms)
        cassandra.send_batch(rows, seconds=5).wait()
    query = "SELECT last_slot FROM {keyspace}.start_count WHERE day = ? AND hour = ? AND country = ?"
    [(slot,)] = cassandra.execute(query, (day_of(hour), hour, country))
    assert slot == slot_of(now_ms + LATE_MS + CLOCK_SET_BACK_MS)


def test_whoever_sees_a_marker_sees_all_before_it(country: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Markers of one process are sent one at a time, also when many threads leave them."""
    write, in_flight, most = commits._write, threading.Semaphore(1), []

    def slowly(rows: Sequence[Statement], *, seconds: float) -> None:
        has_marker = late_writes.INSERT_MARKER in dict(rows)
        if has_marker:
            most.append(in_flight.acquire(blocking=False))
            time.sleep(0.02)
        write(rows, seconds=seconds)
        if has_marker:
            in_flight.release()

    monkeypatch.setattr(commits, "_write", slowly)
    now_ms = time.time_ns() // 1_000_000
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda hours: record(country, now_ms - hours * HOUR_MS, now_ms=now_ms), range(1, 25)))
    assert all(most)
    ours = [marker for marker in markers(now_ms) if any(cell.country == country for cell in marker.cells)]
    assert 2 <= len(ours) < 24, "late starts that come together share a marker"
    assert len({marker.version for marker in ours}) == len(ours)
    assert {cell.hour_ms for marker in ours for cell in marker.cells} == {
        hour_of(now_ms - hours * HOUR_MS) for hours in range(1, 25)
    }


def test_a_late_start_whose_marker_fails_is_not_acknowledged(
    country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = commits._write

    def without_markers(rows: Sequence[Statement], *, seconds: float) -> None:
        if late_writes.INSERT_MARKER in dict(rows):
            raise StoreUnavailable("unavailable")
        write(rows, seconds=seconds)

    monkeypatch.setattr(commits, "_write", without_markers)
    with pytest.raises(StoreUnavailable):
        record(country, now_ms - 5 * HOUR_MS, now_ms=now_ms)
    record(country, now_ms, now_ms=now_ms)


def marker(writer: str, at_ms: int, minute: int = 0) -> Marker:
    return Marker(writer, at_ms, [Cell("FI", 0, minute, 1)])


def test_a_position_misses_what_came_after_it_and_nothing_before() -> None:
    position = Position(slot_of(100 * SLOT_MS), {"a": 105 * SLOT_MS})
    assert not position.misses(marker("a", 99 * SLOT_MS))
    assert not position.misses(marker("b", 99 * SLOT_MS))
    assert not position.misses(marker("a", 105 * SLOT_MS))
    assert position.misses(marker("a", 105 * SLOT_MS + 1))
    assert position.misses(marker("b", 100 * SLOT_MS))


def test_a_position_with_all_of_some_markers_misses_none_of_them() -> None:
    some = [marker(writer, at * SLOT_MS, minute=at % 60) for at in range(90, 110) for writer in "abc"]
    versions = dict.fromkeys("abc", 109 * SLOT_MS)
    late = LateWrites(frozenset(range(90, 110)), versions, {}, some)
    position = late.position(108 * SLOT_MS + 5, before=Position(90, {}), release_1="")
    assert not any(position.misses(one) for one in some)
    assert all(position.misses(marker(writer, 109 * SLOT_MS + 1)) for writer in "abcd")


def test_the_youngest_wait_when_there_are_many() -> None:
    some = [marker("a", at * SLOT_MS, minute=at % 60) for at in range(90, 110)]
    late = LateWrites(frozenset(range(90, 110)), {}, {}, some)
    for most in (1, 7, 19):
        rest = late.oldest(most=most, cost=lambda marker, cell: 1)
        assert [one for one in [*rest.markers, *rest.waiting] if one.cells] == some
        assert len([one for one in rest.markers if one.cells]) == most
    assert not late.oldest(most=20, cost=lambda marker, cell: 1).waiting
    assert not late.oldest(most=1, cost=lambda marker, cell: 0).waiting


def test_no_more_is_counted_at_once_when_one_marker_names_many_minutes() -> None:
    cells = [Cell("FI", 0, minute, 1) for minute in range(60)]
    late = LateWrites(frozenset([90]), {}, {}, [Marker("a", 90 * SLOT_MS, cells), Marker("a", 90 * SLOT_MS + 1, cells)])
    rest = late.oldest(most=20, cost=lambda marker, cell: 2)
    assert [one.cells for one in rest.markers] == [cells[:10]]
    assert [one.cells for one in rest.waiting] == [cells[10:], cells]


def test_markers_that_were_left_out_because_another_count_has_seen_them_are_not_taken_for_read() -> None:
    late = LateWrites(frozenset(range(90, 110)), {"a": 109 * SLOT_MS}, {"a": 105 * SLOT_MS}, [])
    assert late.cover(Position(95, {"a": 105 * SLOT_MS}), 108)
    assert late.cover(Position(106, {}), 108)
    assert late.cover(Position(95, {}), 94)
    assert not late.cover(Position(95, {}), 108)
    assert not late.cover(Position(95, {"a": 105 * SLOT_MS}), 120)


def test_a_writer_that_was_seen_long_ago_is_not_remembered() -> None:
    late = LateWrites(frozenset({90, 200}), {"old": 90 * SLOT_MS, "new": 200 * SLOT_MS}, {}, [])
    position = late.position(201 * SLOT_MS, before=Position(80, {"older": 85 * SLOT_MS}), release_1="")
    assert set(position.seen) == {"new"}
