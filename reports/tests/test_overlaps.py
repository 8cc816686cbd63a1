"""Which sessions of a player run at the same time."""

import uuid

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.overlaps import Interval, overlapping

moments = st.integers(0, 12)


def intervals(*bounds: tuple[int, int]) -> list[Interval]:
    return [Interval(*bound, uuid.UUID(int=number)) for number, bound in enumerate(bounds)]


def numbers(*bounds: tuple[int, int]) -> set[int]:
    return {session.int for session in overlapping(intervals(*bounds))}


def test_two_sessions_that_run_at_the_same_time_overlap_and_a_later_one_does_not():
    assert numbers((0, 10), (5, 15), (20, 30)) == {0, 1}


def test_one_that_begins_when_another_ends_is_apart():
    assert numbers((0, 10), (10, 20)) == set()


def test_one_that_does_not_last_or_ends_before_it_starts_overlaps_none():
    assert numbers((0, 10), (5, 5), (8, 3)) == set()


def test_a_long_one_overlaps_all_that_come_after_it():
    assert numbers((0, 100), (1, 2), (3, 4), (50, 60), (100, 101)) == {0, 1, 2, 3}


@settings(deadline=None)
@given(st.lists(st.tuples(moments, moments), max_size=12))
def test_it_finds_what_comparing_every_pair_finds(bounds):
    every = intervals(*bounds)
    expected = {
        one.session_id
        for one in every
        for other in every
        if one is not other and max(one.from_ms, other.from_ms) < min(one.to_ms, other.to_ms)
    }
    assert overlapping(every) == expected
