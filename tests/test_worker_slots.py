"""Who has a worker slot, who waits for one, and which are reserved for batches."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.test import RequestFactory

from tests.clients import wait_for
from web.load_shedding import LoadShedding, readers
from web.server_threads import MOST_WAITING
from web.worker_slots import WorkerSlots

WORKING = 6
EVENTS, REPORTS = "/api/v1/events/", "/api/v1/reports/starts/"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * MOST_WAITING + WORKING) as threads:
        yield threads


def test_a_request_waits_for_a_slot_and_is_refused_when_the_queue_is_full(pool: ThreadPoolExecutor) -> None:
    slots = WorkerSlots(2, waiting=1, seconds=10)
    assert [slots.acquire(), slots.acquire()] == [True, True]
    waits = pool.submit(slots.acquire)
    wait_for(lambda: slots._queue.empty())
    assert not slots.acquire()  # one waits already
    slots.release()
    assert waits.result(5)
    slots.release()
    assert slots.acquire()


def test_who_waits_in_vain_is_refused() -> None:
    slots = WorkerSlots(1, waiting=1, seconds=0.01)
    assert slots.acquire()
    assert [slots.acquire(), slots.acquire()] == [False, False]
    slots.release()
    assert slots.acquire()


class Slow:
    """A WSGI application whose requests all take until it is let through."""

    def __init__(self) -> None:
        self.working: list[str] = []
        self.let_through = threading.Event()

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
        self.working.append(str(environ["REQUEST_METHOD"]))
        assert self.let_through.wait(10)
        start_response("200 OK", [])
        return []


class Asked:
    """Requests to a LoadShedding before a Slow application."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.slow = Slow()
        self._load_shedding = LoadShedding(self.slow, working=WORKING)
        self._pool = pool

    def ask(self, method: str, path: str) -> Future[str]:
        return self._pool.submit(self._status, method, path)

    def begin(self, method: str, path: str, *, number: int) -> list[Future[str]]:
        """As many, which have all begun to work."""
        before = len(self.slow.working)
        futures = [self.ask(method, path) for _ in range(number)]
        wait_for(lambda: len(self.slow.working) == before + number)
        return futures

    def _status(self, method: str, path: str) -> str:
        statuses: list[str] = []
        environ = RequestFactory().generic(method, path).environ
        self._load_shedding(environ, lambda status, headers: statuses.append(status))
        return statuses[0]


@pytest.fixture
def asked(pool: ThreadPoolExecutor) -> Iterator[Asked]:
    one = Asked(pool)
    yield one
    one.slow.let_through.set()


def test_slots_are_reserved_for_batches_while_readers_fill_the_rest(asked: Asked) -> None:
    reading = asked.begin("GET", REPORTS, number=readers(working=WORKING))
    assert asked.ask("GET", REPORTS).result(5) == asked.ask("HEAD", REPORTS).result(5) == "503 Service Unavailable"
    posting = asked.begin("POST", EVENTS, number=WORKING - readers(working=WORKING))
    assert asked.ask("POST", EVENTS).result(5) == "503 Service Unavailable"
    asked.slow.let_through.set()
    assert [future.result(5) for future in reading + posting] == ["200 OK"] * WORKING


def test_batches_may_have_every_slot(asked: Asked) -> None:
    posting = asked.begin("POST", EVENTS, number=WORKING)
    assert asked.ask("GET", REPORTS).result(5) == "503 Service Unavailable"
    asked.slow.let_through.set()
    assert [future.result(5) for future in posting] == ["200 OK"] * WORKING
    assert asked.ask("GET", REPORTS).result(5) == "200 OK"


def test_readers_who_wait_for_each_other_do_not_take_the_queue_of_batches(asked: Asked) -> None:
    """Were there one waiting room for both, a batch would be refused at once."""
    asked.begin("GET", REPORTS, number=readers(working=WORKING))
    waiting = [asked.ask("GET", REPORTS) for _ in range(2 * MOST_WAITING)]
    asked.begin("POST", EVENTS, number=WORKING - readers(working=WORKING))
    assert {future.result(5) for future in waiting} == {"503 Service Unavailable"}


@pytest.mark.parametrize(("working", "most"), [(1, 1), (2, 1), (4, 2), (8, 4), (16, 12), (64, 60)])
def test_readers_never_have_more_than_their_part(working: int, most: int) -> None:
    """Where one works at a time, it is whoever comes."""
    assert readers(working=working) == most
