"""Partial hours: the whole minutes are counted once, the remainder each time, and the sum is exact."""

import itertools
import json
import random
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import domain
from events.counting import minutes
from events.counting.hours import count_starts
from events.counting.minutes import SELECT_ONES, part
from events.counting.stored import Minutes
from events.counting.validity import MARGIN_MS
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, PROMPT_MS, Event, Window, hour_of
from events.services import record_events
from events.tests.clocks import long_ago_ms
from store import cassandra
from store.cassandra import Row, Statement

HOUR = 490_000 * HOUR_MS
moments = st.one_of(
    st.integers(HOUR - HOUR_MS, HOUR + 2 * HOUR_MS),
    # At the edges of minutes and of the hour.
    st.builds(lambda minute, offset: HOUR + minute * MINUTE_MS + offset, st.integers(-1, 61), st.integers(-1, 1)),
)


@settings(deadline=None)
@given(window=st.builds(lambda *two: Window(*sorted(two)), moments, moments), moment=moments, known=st.integers(0, 60))
def test_each_moment_of_the_window_is_in_one_part(window: Window, moment: int, known: int) -> None:
    if window.to_ms < HOUR or window.from_ms >= HOUR + HOUR_MS - 1:
        return  # such a window has no moment of the hour, and is not asked for it
    whole, remainder = part(HOUR, window, known=known)
    parts = [HOUR + minute * MINUTE_MS <= moment < HOUR + (minute + 1) * MINUTE_MS for minute in whole]
    parts += [low < moment <= high for low, high in remainder]
    assert sum(parts) == (window.from_ms < moment <= window.to_ms and HOUR <= moment < HOUR + HOUR_MS)
    assert all(minute < known for minute in whole)
    assert sum(high - low for low, high in remainder) < (2 + 60 - known) * MINUTE_MS or not whole


def stored_minutes(country: str, hour: int) -> str | None:
    query = "SELECT minutes FROM {keyspace}.start_count WHERE day = ? AND hour = ? AND country = ?"
    rows = cassandra.execute(query, (domain.day_of(hour), hour, country))
    return rows[0][0] if rows else None


@pytest.mark.parametrize("few", [0, minutes.STARTS_IN_PLACE_OF_A_COUNT])
def test_a_partial_hour_is_counted_exactly_also_after_late_starts(
    country: str, now_ms: int, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Also where few starts are read in place of a count."""
    ask, asked = cassandra.execute_many, set()

    def noted(statements: Iterable[Statement], **options: Any) -> list[list[Row]]:
        statements = list(statements)
        asked.update(cql for cql, _ in statements)
        return ask(statements, **options)

    monkeypatch.setattr(cassandra, "execute_many", noted)
    monkeypatch.setattr(minutes, "STARTS_IN_PLACE_OF_A_COUNT", few)
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
        partial_at_the_end = [Window(hour - 1_000, edge) for edge in edges]
        partial_at_the_start = [Window(edge, hour + 2 * HOUR_MS) for edge in edges if edge < hour + HOUR_MS - 1]
        both = [Window(*sorted(chance.sample(edges, 2))) for _ in range(10)]
        return [*partial_at_the_end, *partial_at_the_start, *both]

    record(starts, at_ms=now_ms)
    for window in windows():
        check(window, at_ms=now_ms)
    before = stored_minutes(country, hour)
    assert before is not None
    late = [chance.randrange(hour, hour + HOUR_MS) for _ in range(20)]
    later = now_ms + MARGIN_MS + 1_000
    record(late, at_ms=later)
    starts += late
    for at_ms in (later, later + MARGIN_MS + 1_000):  # what was written late is counted again, once
        for window in windows():
            check(window, at_ms=at_ms)
    assert stored_minutes(country, hour) not in (None, before)
    assert (SELECT_ONES in asked) == (few > 0)


def an_hour() -> int:
    """One that no report of another test reads; these tests say themselves when they write and when they ask."""
    return hour_of(long_ago_ms()) - 40 * DAY_MS


def test_the_minutes_of_an_hour_that_goes_on(country: str) -> None:
    hour = an_hour()
    starts: list[int] = []

    def record(*some: int, at_ms: int) -> None:
        starts.extend(some)
        record_events([Event("start", "goes on", uuid.uuid4(), ts, country) for ts in some], now_ms=at_ms)

    def check(*, at_ms: int) -> list[int]:
        """Counts are right; the minutes that are stored then."""
        for window in (Window(hour - HOUR_MS, at_ms), Window(hour + 90_001, at_ms)):
            deadline = time.monotonic() + 10
            counts = count_starts(window=window, now_ms=at_ms, country=country, deadline=deadline)
            assert sum(counts.starts[country]) == sum(window.from_ms < ts <= window.to_ms for ts in starts)
        record = json.loads(stored_minutes(country, hour) or "[[]]")
        return record[-1]

    def minute(number: float) -> int:
        return hour + int(number * MINUTE_MS)

    record(hour, minute(1.5), at_ms=minute(2))
    record(minute(3.2), at_ms=minute(3.3))
    record(minute(8.9), at_ms=minute(9))
    assert check(at_ms=minute(3)) == []  # prompt writes may still be in flight into every minute
    assert check(at_ms=minute(9)) == [1, 1, 0, 1, 0]
    assert check(at_ms=minute(13)) == [1, 1, 0, 1, 0, 0, 0, 0, 1]  # only what was missing is counted
    record(minute(9.5), at_ms=minute(9.6))
    assert check(at_ms=minute(14)) == [1, 1, 0, 1, 0, 0, 0, 0, 1, 1]
    record(minute(4.5), at_ms=minute(14.1))  # late: its minute is counted again
    assert check(at_ms=minute(14.2)) == [1, 1, 0, 1, 1, 0, 0, 0, 1, 1]
    assert check(at_ms=minute(20)) == [1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert sum(check(at_ms=minute(62))) == len(starts)  # the hour is over, but writes may be in flight
    assert len(check(at_ms=minute(70))) == 60


def test_a_start_leaves_a_register_when_it_comes_late(country: str) -> None:
    def registers() -> list[int]:
        query = "SELECT last_slot FROM {keyspace}.start_count WHERE day = ? AND hour = ? AND country = ?"
        return [slot for (slot,) in cassandra.execute(query, (domain.day_of(hour), hour, country))]

    hour = an_hour()
    at_ms = hour + 30 * MINUTE_MS
    start = Event("start", "late", uuid.uuid4(), at_ms, country)
    record_events([start], now_ms=at_ms + PROMPT_MS - 1)
    assert not registers()
    record_events([start], now_ms=at_ms + PROMPT_MS)
    assert registers()


waits = st.sampled_from([0, MINUTE_MS, 5 * MINUTE_MS])
# Beyond the days of other tests.
days_apart = itertools.count(1_000, 2)
ages = st.none() | st.integers(0, PROMPT_MS) | st.integers(PROMPT_MS, HOUR_MS)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(waits, ages, st.integers(0, 2)), min_size=5, max_size=30),
    worth_a_statement=st.sampled_from([-1, 0, 2, minutes.STARTS_PER_STATEMENT]),
    of_all=st.booleans(),
)
def test_counts_are_exact_whatever_comes_when(
    new_country: Callable[[], str], steps: list[tuple[int, int | None, int]], worth_a_statement: int, of_all: bool
) -> None:
    """Each step waits, then a start comes that happened some time ago, or a report is asked for.

    Each example has days of its own: no clock goes back to before an hour that was counted for all countries.

    ``worth_a_statement`` decides whether hours are counted whole, and which minutes share a statement.
    """
    countries, at_ms = [new_country() for _ in range(3)], an_hour() - next(days_apart) * DAY_MS + MINUTE_MS
    starts: dict[str, list[int]] = {country: [] for country in countries}

    def check(country: str) -> None:
        window = Window(at_ms - 5 * HOUR_MS, at_ms)
        asked = None if of_all else country
        counts = count_starts(window=window, now_ms=at_ms, country=asked, deadline=time.monotonic() + 10)
        for one in countries if of_all else [country]:
            expected = [sum(hour_of(ts) == hour for ts in starts[one]) for hour in counts.hours]
            assert counts.starts.get(one, [0] * len(counts.hours)) == expected

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(minutes, "STARTS_PER_STATEMENT", worth_a_statement)
        for wait_ms, age_ms, number in [*steps, (0, None, 0), (2 * HOUR_MS, None, 1), (0, None, 2)]:
            at_ms += wait_ms
            country = countries[number]
            if age_ms is not None:
                starts[country].append(at_ms - age_ms)
                record_events([Event("start", "any", uuid.uuid4(), at_ms - age_ms, country)], now_ms=at_ms)
            else:
                check(country)


def test_minutes_of_an_hour_share_a_statement_where_little_lies_between(now_ms: int) -> None:
    def statements(*tasks: tuple[str, int]) -> int:
        hours = {(country, hour): Minutes(starts=[3] * 60) for country in ("FI", "US")}
        hours["US", hour].starts[:] = [300] * 60
        wanted = [
            minutes._Task(country, hour, 1, first, first + 1, hours[country, hour].starts[first])
            for country, first in tasks
        ]
        return len([*minutes._queries(wanted, hours)])

    hour = hour_of(now_ms)
    assert statements(("FI", 1), ("FI", 50)) == 1
    assert statements(("US", 1), ("US", 2)) == 1
    assert statements(("US", 1), ("US", 50)) == 2
    assert statements(("FI", 1), ("US", 2)) == 1
    assert statements(("FI", 1), ("US", 2), ("FI", 30)) == 2
