"""No stored count is valid that is without a late start: clocks apart, pauses, expired markers, failed rounds."""

import time
import uuid
from typing import Any

import pytest
from django.core.cache import caches

from events import late_writes
from events.counting import background, hours, stored, validity
from events.counting.background import LEASE, Background
from events.counting.hours import bring_up_to_date, count_starts
from events.counting.validity import MARGIN_MS
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, START, Event, Window, day_of
from events.importing import loader as loader_module
from events.importing import written_hours
from events.importing.loader import Loader
from events.services import record_events
from events.tests.clocks import long_ago_ms
from store import cassandra
from store.cassandra import Row
from store.errors import StoreUnavailable


def start(country: str, ts_ms: int) -> Event:
    return Event(START, "late", uuid.uuid4(), ts_ms, country)


def record(country: str, *moments: int, now_ms: int) -> None:
    record_events([start(country, ts) for ts in moments], now_ms=now_ms)


def counted(country: str, window: Window, *, now_ms: int, of_all: bool = True) -> int:
    asked = None if of_all else country
    deadline = cassandra.deadline_from_now()
    return sum(count_starts(window=window, now_ms=now_ms, deadline=deadline, country=asked).starts.get(country, []))


@pytest.fixture
def now_ms() -> int:
    """The present of these tests."""
    return long_ago_ms()


@pytest.fixture
def node_shows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the clock of the node that is asked."""

    def show(at_ms: int) -> None:
        behind_ms = time.time_ns() // 1_000_000 - at_ms
        monkeypatch.setattr(stored, "SELECT_NOW", f"SELECT toUnixTimestamp(now()) - {behind_ms} FROM system.local")

    return show


@pytest.mark.parametrize("of_all", [True, False])
def test_an_hour_that_another_clock_has_counted_is_not_lost(country: str, now_ms: int, of_all: bool) -> None:
    day = day_of(now_ms) - 60 * DAY_MS
    over_ms = day + 11 * HOUR_MS + MARGIN_MS + 500
    record(country, *(day + 10 * HOUR_MS + minute * MINUTE_MS for minute in range(5)), now_ms=over_ms - 1_800_000)
    bring_up_to_date([day], now_ms=over_ms)
    assert counted(country, Window(day - 1, over_ms - 1_000), now_ms=over_ms - 1_000, of_all=of_all) == 5


@pytest.mark.parametrize("by_import", [True, False])
def test_a_node_that_is_behind_does_not_spoil_an_hour(country, now_ms, monkeypatch, node_shows, by_import) -> None:
    day = day_of(now_ms) - (61 + by_import) * DAY_MS
    over_ms, later_ms = day + 11 * HOUR_MS + MARGIN_MS + 500, day + 14 * HOUR_MS
    record(country, *(day + 10 * HOUR_MS + minute * MINUTE_MS for minute in (1, 2, 58, 59)), now_ms=over_ms - 1_800_000)
    bring_up_to_date([day], now_ms=over_ms)
    if by_import:
        late_writes.announce_hours([day + 10 * HOUR_MS], now_ms=over_ms - 900, seconds=5)
    else:
        record(country, day + 10 * HOUR_MS + 3 * MINUTE_MS, now_ms=over_ms - 900)
    node_shows(over_ms - 800)
    counted(country, Window(day - 1, over_ms + 200), now_ms=over_ms + 200)
    monkeypatch.undo()
    bring_up_to_date([day], now_ms=later_ms)
    assert counted(country, Window(day - 1, later_ms), now_ms=later_ms) == 4 + (not by_import)


def test_a_late_start_whose_marker_has_expired_is_counted(country, now_ms, monkeypatch) -> None:
    """Everything stood still from then on: nobody has counted it."""
    day, then_ms = day_of(now_ms) - 63 * DAY_MS, now_ms - 2 * DAY_MS
    record(country, day + HOUR_MS, now_ms=then_ms)
    bring_up_to_date([day], now_ms=then_ms)
    monkeypatch.setattr(late_writes, "MARKER_SECONDS", 1)
    record(country, day + 2 * HOUR_MS, now_ms=then_ms + 60_000)
    time.sleep(2.5)
    for _ in range(2):
        assert counted(country, Window(day - 1, day + DAY_MS - 1), now_ms=now_ms) == 2


def test_a_late_start_into_a_day_that_was_quiet_for_long_has_its_hour_counted(country, now_ms, monkeypatch) -> None:
    """And no other: what was counted hours ago is still complete."""
    day = day_of(now_ms) - 64 * DAY_MS
    record(country, *(day + hour * HOUR_MS for hour in range(24)), now_ms=now_ms - 5 * HOUR_MS)
    bring_up_to_date([day], now_ms=now_ms - 4 * HOUR_MS)
    record(country, day + 2 * HOUR_MS, now_ms=now_ms)
    counted_hours: set[int] = set()
    ask = cassandra.execute_many

    def noted(statements: Any, **options: Any) -> list[list[Row]]:
        statements = list(statements)
        for _, values in statements if options.get("counting") else ():
            counted_hours.update(values[1])
        return ask(statements, **options)

    monkeypatch.setattr(cassandra, "execute_many", noted)
    assert counted(country, Window(day - 1, day + DAY_MS - 1), now_ms=now_ms) == 25
    assert counted_hours == {day + 2 * HOUR_MS}


def test_versions_do_not_speak_for_markers_that_were_not_read(country, now_ms, monkeypatch) -> None:
    """One slot is read, then two late starts come on both sides of its end, then the next slot is read."""
    day = day_of(now_ms) - 65 * DAY_MS
    border_ms = now_ms // late_writes.SLOT_MS * late_writes.SLOT_MS - 60_000
    record(country, day + HOUR_MS, now_ms=border_ms - 5_000)
    bring_up_to_date([day], now_ms=border_ms - 3_000)
    record(country, day + 2 * HOUR_MS, now_ms=border_ms - 2_000)
    read, torn = validity._read, []

    def reading(cql: str, slots: Any, *, deadline: float) -> list[Row]:
        if torn:
            return read(cql, slots, deadline=deadline)
        torn.append(cql)
        before = [slot for slot in slots if slot < late_writes.slot_of(border_ms)]
        rows = read(cql, before, deadline=deadline)
        record(country, day + 3 * HOUR_MS, now_ms=border_ms - 5)
        record(country, day + 4 * HOUR_MS, now_ms=border_ms)
        return rows + read(cql, [slot for slot in slots if slot not in before], deadline=deadline)

    monkeypatch.setattr(validity, "_read", reading)
    window = Window(day - 1, day + DAY_MS - 1)
    counted(country, window, now_ms=border_ms + 100)
    assert torn
    assert counted(country, window, now_ms=border_ms + 1_000) == 4


def test_an_import_that_is_paused_before_its_marker_leaves_another(country, now_ms, monkeypatch) -> None:
    day = day_of(now_ms) - 66 * DAY_MS
    record(country, day + HOUR_MS, now_ms=now_ms - 600_000)
    bring_up_to_date([day], now_ms=now_ms - 500_000)
    loader, imported = Loader(on_wait=print), written_hours.WrittenHours()
    monkeypatch.setattr(loader_module, "wall_clock_ms", lambda: now_ms)
    loader.write([start(country, day + HOUR_MS)])
    loader.finish()
    imported.add([(country, day + HOUR_MS)])
    clock = iter([now_ms - 200_000])
    monkeypatch.setattr(written_hours, "wall_clock_ms", lambda: next(clock, now_ms))
    announce = late_writes.announce

    def paused(cells: Any, **options: Any) -> None:
        bring_up_to_date([day], now_ms=now_ms)
        announce(cells, **options)

    monkeypatch.setattr(late_writes, "announce", paused)
    imported.announce()
    assert counted(country, Window(day - 1, day + DAY_MS - 1), now_ms=now_ms) == 2


def test_late_starts_are_noticed_after_counts_were_deleted(country: str) -> None:
    """As an operator may: a deletion is of the real present, the registers that come after it lie above it."""
    now_ms = time.time_ns() // 1_000_000
    day = day_of(now_ms) - 67 * DAY_MS
    record(country, day + HOUR_MS, now_ms=now_ms)
    cassandra.execute("DELETE FROM {keyspace}.start_count WHERE day = ?", (day,))
    bring_up_to_date([day], now_ms=now_ms)
    record(country, day + 2 * HOUR_MS, now_ms=time.time_ns() // 1_000_000)
    assert counted(country, Window(day - 1, day + DAY_MS - 1), now_ms=time.time_ns() // 1_000_000) == 2


def test_a_report_says_of_the_present_hour_as_well_what_waits(country, now_ms, monkeypatch) -> None:
    monkeypatch.setattr(hours, "MOST_CELLS", 2)
    at_ms = day_of(now_ms) - 68 * DAY_MS + 13 * HOUR_MS + 30 * MINUTE_MS
    day = day_of(at_ms)
    window = Window(day - 1, at_ms)
    record(country, at_ms - 20 * MINUTE_MS, day + HOUR_MS, now_ms=at_ms - 300_000)
    counted(country, window, now_ms=at_ms - 100_000)
    record(country, *(day + HOUR_MS + number * MINUTE_MS for number in range(2)), now_ms=at_ms - 10_000)
    record(country, day + 2 * HOUR_MS, now_ms=at_ms - 9_000)
    record(country, at_ms - 20 * MINUTE_MS, now_ms=at_ms - 8_000)
    counts = count_starts(window=window, now_ms=at_ms, deadline=cassandra.deadline_from_now())
    assert counts.waiting is not None
    assert counts.waiting.cells >= 6 - sum(counts.starts[country]) > 0
    assert counts.waiting.since_ms >= at_ms - 10_000
    everything = count_starts(window=window, now_ms=at_ms, deadline=cassandra.deadline_from_now(), all_late=True)
    assert (sum(everything.starts[country]), everything.waiting) == (6, None)


def test_a_report_that_is_without_some_late_starts_does_not_lie_over_one_that_has_them(
    country, now_ms, monkeypatch
) -> None:
    day = day_of(now_ms) - 69 * DAY_MS
    window = Window(day - 1, day + DAY_MS - 1)
    record(country, *(day + hour * HOUR_MS for hour in range(24)), now_ms=now_ms - 500_000)
    bring_up_to_date([day], now_ms=now_ms - 300_000)
    for hour in range(20):
        record(country, day + hour * HOUR_MS + 1, now_ms=now_ms - 10_000 + hour)
    monkeypatch.setattr(hours, "MOST_CELLS", 2)
    count_starts(window=window, now_ms=now_ms + 3_000, deadline=cassandra.deadline_from_now())
    bring_up_to_date([day], now_ms=now_ms)  # began before, and ends after it
    counts = count_starts(window=window, now_ms=now_ms + 60_000, deadline=cassandra.deadline_from_now())
    assert (sum(counts.starts[country]), counts.waiting) == (44, None)


def test_a_day_stays_to_be_counted_until_it_is(country, now_ms, monkeypatch, settings) -> None:
    settings.RETENTION_SECONDS = 10 * DAY_MS // SECOND_MS
    caches["default"].delete(LEASE)
    one = Background()
    one.round(now_ms)
    while one._unread:
        one.round(now_ms)
    record(country, day_of(now_ms) - 5 * DAY_MS, now_ms=now_ms)
    counted_days: list[int] = []

    def unavailable(days: Any, *, now_ms: int) -> None:
        raise StoreUnavailable("for a moment")

    def noted(days: Any, *, now_ms: int) -> None:
        counted_days.extend(days)

    monkeypatch.setattr(background, "bring_up_to_date", unavailable)
    with pytest.raises(StoreUnavailable):
        one.round(now_ms + 1_000)
    monkeypatch.setattr(background, "bring_up_to_date", noted)
    one.round(now_ms + 2_000)
    assert day_of(now_ms) - 5 * DAY_MS in counted_days
    assert not one._dirty
