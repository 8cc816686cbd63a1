"""What an import has written is in the reports once it is announced, whatever was counted before."""

import uuid
from collections.abc import Callable

import pytest

from events.clock import wall_clock_ms
from events.counting.hours import bring_up_to_date, count_starts
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, START, Event, Window, day_of, hour_of
from events.importing.loader import Loader
from events.importing.written_hours import WrittenHours
from store import cassandra


@pytest.fixture
def written() -> Callable[..., None]:
    """Stores starts as an import does, and announces them."""
    loader, written = Loader(on_wait=lambda _: None), WrittenHours()

    def write(country: str, *moments: int) -> None:
        loader.write([Event(START, "imported", uuid.uuid4(), ts, country) for ts in moments])
        loader.finish()
        written.add((country, hour_of(ts)) for ts in moments)
        written.announce()

    return write


def counted(window: Window, country: str, *, of_all: bool) -> int:
    counts = count_starts(
        window=window,
        now_ms=wall_clock_ms(),
        country=None if of_all else country,
        deadline=cassandra.deadline_from_now(),
    )
    return sum(counts.starts.get(country, []))


@pytest.mark.parametrize("of_all", [True, False])
@pytest.mark.parametrize("cut_ms", [0, 90_500])
def test_every_import_into_a_counted_day_is_counted(country: str, now_ms: int, written, of_all: bool, cut_ms) -> None:
    """Also at the edge of a window, where minutes are counted."""
    day = day_of(now_ms) - 3 * DAY_MS
    window = Window(day + 5 * HOUR_MS - 1 + cut_ms, day + DAY_MS - 1)
    moments: list[int] = []
    for number in range(4):
        moments += (more := [day + 5 * HOUR_MS + number * MINUTE_MS, day + (6 + number) * HOUR_MS])
        written(country, *more)
        expected = sum(window.from_ms < ts <= window.to_ms for ts in moments)
        assert counted(window, country, of_all=of_all) == expected
        bring_up_to_date([day], now_ms=wall_clock_ms())
        assert counted(window, country, of_all=of_all) == expected


def test_a_country_that_is_new_in_a_counted_day_is_counted(country: str, now_ms: int, written) -> None:
    day = day_of(now_ms) - 4 * DAY_MS
    bring_up_to_date([day], now_ms=wall_clock_ms())
    written(country, day + HOUR_MS + 1)
    assert counted(Window(day - 1, day + DAY_MS - 1), country, of_all=True) == 1


def test_the_days_of_an_import_are_shared_newest_first(country: str, now_ms: int) -> None:
    written = WrittenHours()
    days = [day_of(now_ms) - number * DAY_MS for number in range(1, 6)]
    written.add((country, day + number * HOUR_MS) for number, day in enumerate(days))
    written.announce()
    assert written.shares(2) == [days[0::2], days[1::2]]
