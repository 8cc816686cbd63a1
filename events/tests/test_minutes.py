"""Hours that a window cuts: the whole minutes are counted once, the rest each time, and the sum is exact."""

import random
import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from events import domain
from events.counts import count_starts
from events.domain import HOUR_MS, MINUTE_MS, Event, Window, hour_of
from events.keeping import MARGIN_MS
from events.minutes import cut
from events.services import record_events
from sessions_project import cassandra

HOUR = 490_000 * HOUR_MS
moments = st.one_of(
    st.integers(HOUR - HOUR_MS, HOUR + 2 * HOUR_MS),
    # At the edges of minutes and of the hour.
    st.builds(lambda minute, offset: HOUR + minute * MINUTE_MS + offset, st.integers(-1, 61), st.integers(-1, 1)),
)


@given(window=st.builds(lambda *two: Window(*sorted(two)), moments, moments), moment=moments)
def test_each_moment_of_the_window_is_in_one_part(window: Window, moment: int) -> None:
    if window.to_ms < HOUR or window.from_ms >= HOUR + HOUR_MS - 1:
        return  # such a window has no moment of the hour, and is not asked for it
    minutes, rest = cut(HOUR, window)
    parts = [HOUR + minute * MINUTE_MS <= moment < HOUR + (minute + 1) * MINUTE_MS for minute in minutes]
    parts += [low < moment <= high for low, high in rest]
    assert sum(parts) == (window.from_ms < moment <= window.to_ms and HOUR <= moment < HOUR + HOUR_MS)
    assert sum(high - low for low, high in rest) < 2 * MINUTE_MS or not minutes


def kept_minutes(country: str, hour: int) -> str | None:
    query = "SELECT minutes FROM {keyspace}.country_hour WHERE day = ? AND hour = ? AND country = ?"
    return cassandra.execute(query, (domain.day_of(hour), hour, country))[0][0]


def test_it_works(country: str, now_ms: int) -> None:
    chance = random.Random(1)
    hour = hour_of(now_ms) - 5 * HOUR_MS
    starts = [hour, hour + HOUR_MS - 1, *(hour + minute * MINUTE_MS for minute in range(0, 60, 7))]
    starts += [chance.randrange(hour, hour + HOUR_MS) for _ in range(60)]

    def record(some: list[int], *, at_ms: int) -> None:
        for first in range(0, len(some), 10):
            events = [Event("start", "cut", uuid.uuid4(), ts, country) for ts in some[first : first + 10]]
            record_events(events, now_ms=at_ms)

    def check(window: Window, *, at_ms: int) -> None:
        deadline = time.monotonic() + 10
        counts = count_starts(window=window, now_ms=at_ms, country=country, deadline=deadline)
        assert sum(counts.starts[country]) == sum(window.from_ms < ts <= window.to_ms for ts in starts)

    def windows() -> list[Window]:
        edges = [*chance.sample(starts, 5), *(chance.randrange(hour, hour + HOUR_MS - 1) for _ in range(10))]
        cut_behind = [Window(hour - 1_000, edge) for edge in edges]
        cut_before = [Window(edge, hour + 2 * HOUR_MS) for edge in edges if edge < hour + HOUR_MS - 1]
        both = [Window(*sorted(chance.sample(edges, 2))) for _ in range(10)]
        return [*cut_behind, *cut_before, *both]

    record(starts, at_ms=now_ms)
    for window in windows():
        check(window, at_ms=now_ms)  # writes may be under way: nothing is kept
    assert kept_minutes(country, hour) is None
    later = now_ms + MARGIN_MS + 1_000
    for window in windows():
        check(window, at_ms=later)
    kept = kept_minutes(country, hour)
    assert kept is not None
    late = [chance.randrange(hour, hour + HOUR_MS) for _ in range(20)]
    record(late, at_ms=later)
    starts += late
    for at_ms in (later, later + MARGIN_MS + 1_000):  # what was kept is not believed, and then counted again
        for window in windows():
            check(window, at_ms=at_ms)
    assert kept_minutes(country, hour) not in (None, kept)
