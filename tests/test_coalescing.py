"""Threads that ask the same share an answer, and never one that was begun before they asked."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from sessions_project.cassandra import StoreUnavailable
from sessions_project.coalescing import Coalescing
from tests.clients import wait_for

CALLERS = 8


class Slow:
    """A question that takes until it is let through; its answers are 1, 2 and so on."""

    def __init__(self) -> None:
        self.asked = 0
        self.let_through = threading.Semaphore(0)

    def __call__(self) -> int:
        self.asked += 1
        answer = self.asked
        assert self.let_through.acquire(timeout=10)
        return answer


@pytest.fixture
def pool():
    with ThreadPoolExecutor(CALLERS) as threads:
        yield threads


@pytest.fixture
def coalescing():
    """Nothing is left in it."""
    one = Coalescing()
    yield one
    assert one._gathering == one._under_way == {}


def joined(
    pool: ThreadPoolExecutor,
    coalescing: Coalescing,
    ask: Callable[[], int],
    *,
    callers: int = 1,
    deadline: float | None = None,
) -> Future[int]:
    """One who asks while an answer is under way, and waits for the next, so far with as many ``callers`` in all."""
    future = pool.submit(coalescing.answer, "question", ask, deadline=deadline or time.monotonic() + 10)
    wait_for(lambda: (gathering := coalescing._gathering.get("question")) and gathering.callers == callers)
    return future


def all_joined(
    pool: ThreadPoolExecutor,
    coalescing: Coalescing,
    ask: Callable[[], int],
    number: int,
    *,
    deadline: float | None = None,
) -> list[Future[int]]:
    return [joined(pool, coalescing, ask, callers=1 + one, deadline=deadline) for one in range(number)]


def first_caller(pool: ThreadPoolExecutor, coalescing: Coalescing, slow: Slow) -> Future[int]:
    future = pool.submit(coalescing.answer, "question", slow, deadline=time.monotonic() + 10)
    wait_for(lambda: slow.asked == 1)
    return future


def test_it_works(pool, coalescing):
    slow = Slow()
    first = first_caller(pool, coalescing, slow)
    others = all_joined(pool, coalescing, slow, 5)
    assert slow.asked == 1
    slow.let_through.release()
    assert first.result(5) == 1
    wait_for(lambda: slow.asked == 2)
    slow.let_through.release()
    assert [other.result(5) for other in others] == [2] * 5
    assert slow.asked == 2


def test_who_comes_when_the_next_has_begun_waits_for_the_one_behind(pool, coalescing):
    slow = Slow()
    futures = [first_caller(pool, coalescing, slow)]
    for answer in (2, 3):
        futures.append(joined(pool, coalescing, slow))
        slow.let_through.release()
        wait_for(lambda answer=answer: slow.asked == answer)
    slow.let_through.release()
    assert [future.result(5) for future in futures] == [1, 2, 3]


def test_who_is_alone_asks_at_once_each_time(coalescing):
    slow = Slow()
    slow.let_through.release(2)
    assert [coalescing.answer("question", slow, deadline=time.monotonic() + 5) for _ in range(2)] == [1, 2]


def test_other_questions_do_not_wait(pool, coalescing):
    slow = Slow()
    first = first_caller(pool, coalescing, slow)
    assert coalescing.answer("another", lambda: 7, deadline=time.monotonic() + 5) == 7
    slow.let_through.release()
    assert first.result(5) == 1


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ValueError("a bug")])
def test_a_failure_is_told_to_all_who_waited_for_it_and_the_next_asks_anew(pool, coalescing, error):
    def fail() -> int:
        raise error

    slow = Slow()
    first = first_caller(pool, coalescing, slow)
    others = all_joined(pool, coalescing, fail, 3)
    slow.let_through.release()
    assert first.result(5) == 1
    told = [type(other.exception(5)) for other in others]
    assert sorted(told, key=str) == sorted([type(error), *[StoreUnavailable] * 2], key=str)
    slow.let_through.release()
    assert coalescing.answer("question", slow, deadline=time.monotonic() + 5) == 2


def test_who_has_no_answer_in_time_learns_so(pool, coalescing):
    slow = Slow()
    first = first_caller(pool, coalescing, slow)
    late = all_joined(pool, coalescing, slow, 3, deadline=time.monotonic() + 0.5)
    assert [type(future.exception(5)) for future in late] == [StoreUnavailable] * 3
    assert slow.asked == 1
    slow.let_through.release()
    assert first.result(5) == 1
    slow.let_through.release()
    assert coalescing.answer("question", slow, deadline=time.monotonic() + 5) == 2


@pytest.mark.parametrize("asks", [False, True])
def test_who_led_with_less_time_than_others_costs_them_no_answer(pool, coalescing, asks):
    slow, deadline = Slow(), time.monotonic() + 0.5

    def ask_until_then() -> int:
        time.sleep(max(deadline - time.monotonic(), 0))
        raise StoreUnavailable("Reading took too long.")

    first = first_caller(pool, coalescing, slow)
    leader = joined(pool, coalescing, ask_until_then, deadline=deadline)
    others = [joined(pool, coalescing, slow, callers=callers) for callers in (2, 3)]
    if asks:
        slow.let_through.release()
    assert type(leader.exception(5)) is StoreUnavailable
    slow.let_through.release(3)
    assert first.result(5) == 1
    assert {other.result(5) for other in others} <= {2, 3}


def test_who_has_no_time_is_refused_and_holds_nobody_up(pool, coalescing):
    slow = Slow()
    first = first_caller(pool, coalescing, slow)
    with pytest.raises(StoreUnavailable):
        coalescing.answer("question", slow, deadline=time.monotonic() - 1)
    other = joined(pool, coalescing, slow)
    slow.let_through.release(2)
    assert (first.result(5), other.result(5)) == (1, 2)
