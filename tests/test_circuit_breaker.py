"""When a server is left alone, and when it is asked again."""

from types import SimpleNamespace

import pytest

from store.circuit_breaker import Breaker


class Clock:
    """Shows what the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("store.circuit_breaker.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(pause_seconds=1.0)


def test_a_server_that_failed_is_asked_once_after_the_pause_and_always_after_an_answer(
    breaker: Breaker, clock: Clock
) -> None:
    assert breaker.allows()
    breaker.failed(asked_at=clock.now - 2)
    assert breaker.is_open
    assert not breaker.allows()
    clock.now += 1
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert not breaker.is_open
    assert [breaker.allows() for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(("answered_seconds_ago", "is_open"), [(0.9, False), (1.1, True)])
def test_one_slow_answer_among_many_does_not_matter(
    breaker: Breaker, clock: Clock, answered_seconds_ago: float, is_open: bool
) -> None:
    """Whether one was answered since half-way."""
    breaker.succeeded()
    clock.now += answered_seconds_ago
    breaker.failed(asked_at=clock.now - 2)
    assert breaker.is_open == is_open
