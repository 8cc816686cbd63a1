"""When a server is left alone, and when it is asked again."""

import time

from sessions_project.breaker import Breaker

PAUSE_SECONDS = 0.2


def test_it_works() -> None:
    breaker = Breaker(pause_seconds=PAUSE_SECONDS)
    assert breaker.allows()
    breaker.failed(asked_at=time.monotonic() - 2)
    assert breaker.is_open
    assert not breaker.allows()
    time.sleep(PAUSE_SECONDS)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert not breaker.is_open
    assert [breaker.allows() for _ in range(3)] == [True] * 3


def test_one_slow_answer_among_many_does_not_matter() -> None:
    breaker = Breaker(pause_seconds=PAUSE_SECONDS)
    breaker.succeeded()
    breaker.failed(asked_at=time.monotonic() - 2)
    assert not breaker.is_open


def test_an_answer_from_long_before_does_not_keep_it_closed() -> None:
    breaker = Breaker(pause_seconds=PAUSE_SECONDS)
    breaker.succeeded()
    time.sleep(0.1)
    breaker.failed(asked_at=time.monotonic() - 0.1)
    assert breaker.is_open
