"""Writes that go together: every caller learns the result of its own statements."""

import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from events import rows
from events.domain import Event
from store import cassandra
from store.cassandra import Statement
from store.errors import StoreUnavailable
from store.group_commit import GroupCommit
from tests.clients import wait_for

CALLERS = 12


def statement(name: str) -> Statement:
    return name, ()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(CALLERS) as threads:
        yield threads


@pytest.fixture
def store() -> SimpleNamespace:
    """A write that notes what it gets, waits until it is let through, and fails for what is in ``refused``."""
    noted = SimpleNamespace(calls=[], open=threading.Event(), refused=set(), error=StoreUnavailable("unavailable"))

    def write(statements: Sequence[Statement], *, seconds: float) -> None:
        noted.calls.append([cql for cql, _ in statements])
        noted.open.wait(10)
        if noted.refused & set(noted.calls[-1]):
            raise noted.error

    noted.write = write
    return noted


def started(pool: ThreadPoolExecutor, commits: GroupCommit, name: str, *, seconds: float = 10) -> Future[None]:
    """A caller in flight: its statement is being written, or waits in a group."""
    caller = pool.submit(commits.write, [statement(name)], seconds=seconds)
    wait_for(lambda: caller.running() or caller.done())
    return caller


def joined(pool: ThreadPoolExecutor, commits: GroupCommit, name: str) -> Future[None]:
    """A caller that waits in a group."""
    caller = started(pool, commits, name)
    wait_for(lambda: (group := commits._gathering) is not None and statement(name) in group.statements)
    return caller


def test_writes_of_many_callers_go_together_and_all_are_stored(pool, now_ms, country):
    before = cassandra.execute_batch
    calls = []

    def counted(statements: Sequence[Statement], *, seconds: float) -> None:
        calls.append(len(statements))
        before(statements, seconds=seconds)

    commits = GroupCommit(counted, at_a_time=1, most_statements=100)
    events = [Event("start", f"together-{uuid.uuid4()}", uuid.uuid4(), now_ms, country) for _ in range(20 * CALLERS)]

    def write(event: Event) -> None:
        commits.write(rows.event_rows([event], now_ms=now_ms), seconds=5)

    assert list(pool.map(write, events)) == [None] * len(events)
    assert sum(calls) == 2 * len(events)
    assert len(calls) < len(events)
    query = "SELECT session_id FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    for event in events:
        assert cassandra.execute(query, (event.player_id,)) == [(event.session_id,)]


def test_an_idle_store_gets_each_write_at_once_and_alone(pool, store):
    commits = GroupCommit(store.write, at_a_time=2, most_statements=10)
    for name in "ab":
        started(pool, commits, name)
    wait_for(lambda: sorted(store.calls) == [["a"], ["b"]])
    store.open.set()


def test_who_comes_meanwhile_goes_together_in_writes_of_bounded_size(pool, store):
    commits = GroupCommit(store.write, at_a_time=1, most_statements=3)
    started(pool, commits, "first")
    wait_for(lambda: store.calls == [["first"]])
    callers = [joined(pool, commits, str(number)) for number in range(7)]
    store.open.set()
    assert [caller.result(5) for caller in callers] == [None] * 7
    assert sorted(len(call) for call in store.calls[1:]) == [1, 3, 3]
    assert sorted(name for call in store.calls[1:] for name in call) == [str(number) for number in range(7)]


@pytest.mark.parametrize("error", [StoreUnavailable("unavailable"), ValueError("a bug")])
def test_a_failed_write_fails_all_its_callers_and_nobody_else(pool, store, error):
    store.refused, store.error = {"0"}, error
    commits = GroupCommit(store.write, at_a_time=1, most_statements=3)
    first = started(pool, commits, "first")
    wait_for(lambda: store.calls == [["first"]])
    callers = [joined(pool, commits, str(number)) for number in range(6)]  # three with "0", three without
    store.open.set()
    assert first.result(5) is None
    assert [type(caller.exception(5)) for caller in callers] == [
        type(error),
        *[StoreUnavailable] * 2,
        *[type(None)] * 3,
    ]


def test_who_gets_no_turn_in_time_learns_so(pool, store):
    commits = GroupCommit(store.write, at_a_time=1, most_statements=3)
    started(pool, commits, "first")
    wait_for(lambda: store.calls == [["first"]])
    began = time.monotonic()
    late = [started(pool, commits, name, seconds=0.3) for name in "ab"]
    assert [str(caller.exception(5)) for caller in late] == ["Writes take long."] * 2
    assert 0.2 < time.monotonic() - began < 2
    assert store.calls == [["first"]]
    store.open.set()


def test_a_caller_without_time_is_refused_and_holds_nobody_up(pool, store):
    commits = GroupCommit(store.write, at_a_time=1, most_statements=100)
    first = started(pool, commits, "first")
    wait_for(lambda: bool(store.calls))
    with pytest.raises(StoreUnavailable):
        commits.write([statement("late")], seconds=-1)
    store.open.set()
    first.result(5)
    commits.write([statement("next")], seconds=5)
    assert store.calls == [["first"], ["next"]]
