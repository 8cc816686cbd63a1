"""A key sends as many events as it may, over all processes, and the reply says when to go on."""

import logging
import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.keys import READ, WRITE, Key
from access.limits import BURST_SECONDS, LEAST_BURST, Bucket, Limits
from access.tests.conftest import Gate

EVENTS = "/api/v1/events/"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


class Clock:
    now = 1_000.0


class Sums:
    """What Redis does for all processes."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = {}
        self.is_away = False

    def __call__(self, numbers: Mapping[str, int]) -> Sequence[int] | None:
        if self.is_away:
            return None
        for name, number in numbers.items():
            self.sums[name] = self.sums.get(name, 0) + number
        return [self.sums[name] for name in numbers]


def key(rate: int | None = None) -> Key:
    return Key("0123456789ab", b"", frozenset({WRITE}), "game", created_ms=0, events_per_second=rate)


def sent_in(seconds: float, processes: Sequence[Limits], clock: Clock, *, rate: int, batch: int = 10) -> int:
    """How many events are let in of a client that sends batches without pause, to one process after the other."""
    total, turn = 0, 0
    until = clock.now + seconds
    exchanged = clock.now
    while clock.now < until:
        process = processes[turn % len(processes)]
        turn += 1
        bucket, wait = process.admit(key(rate))
        assert bucket
        if not wait:
            process.charge(bucket, batch)
            total += batch
        clock.now += 0.001
        if clock.now > exchanged + 0.5:
            exchanged = clock.now
            for one in processes:
                one.exchange()
    return total


def limits(exchange: Sums, *, default_rate: int = 0) -> Limits:
    return Limits(default_rate=default_rate, dry_run=False, exchange=exchange)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("rate", [20, 200])
def test_the_limit_is_that_of_all_processes(clock: Clock, number: int, rate: int) -> None:
    sums = Sums()
    processes = [limits(sums) for _ in range(number)]
    sent_in(10, processes, clock, rate=rate)  # until every process has heard of the others
    assert sent_in(60, processes, clock, rate=rate) == pytest.approx(60 * rate, rel=0.1)


def test_without_redis_every_process_allows_the_whole_limit(clock: Clock) -> None:
    sums = Sums()
    sums.is_away = True
    processes = [limits(sums) for _ in range(2)]
    sent_in(10, processes, clock, rate=100)
    assert sent_in(60, processes, clock, rate=100) == pytest.approx(2 * 60 * 100, rel=0.1)


def test_a_sum_that_begins_anew_takes_nothing_away(clock: Clock) -> None:
    sums = Sums()
    process = limits(sums)
    sent_in(10, [process], clock, rate=100)
    sums.sums.clear()
    assert sent_in(30, [process], clock, rate=100) == pytest.approx(3_000, rel=0.1)


def test_after_a_pause_a_key_may_send_two_seconds_worth_at_once(clock: Clock) -> None:
    process = limits(Sums())
    sent_in(10, [process], clock, rate=100)
    clock.now += 60
    assert sent_in(0.001, [process], clock, rate=100, batch=BURST_SECONDS * 100) == BURST_SECONDS * 100
    assert sent_in(0.5, [process], clock, rate=100, batch=10) <= 60


def test_a_key_of_one_event_a_second_can_send_a_whole_batch(clock: Clock) -> None:
    bucket, wait = limits(Sums()).admit(key(1))
    assert bucket
    assert bucket.size == LEAST_BURST
    assert not wait


def test_a_key_without_a_number_has_that_of_the_settings(clock: Clock) -> None:
    assert limits(Sums()).admit(key()) == (None, 0)
    bucket, _ = limits(Sums(), default_rate=50).admit(key())
    assert bucket
    assert bucket.rate == 50
    assert limits(Sums(), default_rate=50).admit(key(0)) == (None, 0)


def test_another_number_holds_from_the_next_request_on(clock: Clock) -> None:
    process = limits(Sums())
    process.admit(key(100))
    bucket, _ = process.admit(key(7))
    assert bucket
    assert bucket.rate == 7


def test_buckets_of_keys_that_nobody_uses_are_forgotten(clock: Clock) -> None:
    process = limits(Sums())
    process.admit(key(100))
    clock.now += 61
    process.exchange()
    assert not process._buckets


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 100)), max_size=50), st.integers(1, 1_000))
def test_never_more_than_the_burst_and_the_rate_are_let_in(steps: list[tuple[float, int]], rate: int) -> None:
    bucket, now, total, largest = Bucket(rate, now=0), 0.0, 0, 0
    for pause, events in steps:
        now += pause
        if not bucket.seconds_until_free(now=now):
            bucket.charge(events)
            total, largest = total + events, max(largest, events)
    assert total <= bucket.size + now * rate + largest


def test_whoever_sends_too_much_is_told_when_to_go_on(gate: Gate, clock: Clock) -> None:
    text = gate.new_key(WRITE, events_per_second=5)
    assert gate.ask(EVENTS, f"Bearer {text}", method="POST", events=10).status == 200
    clock.now += 0.01
    assert gate.ask(EVENTS, f"Bearer {text}", method="POST", events=10).status == 200
    refused = gate.ask(EVENTS, f"Bearer {text}", method="POST")
    assert (refused.status, refused.problem) == (429, "rate-limited")
    assert refused.all("Retry-After") == ["2"]
    assert refused.all("RateLimit") == ['"events";r=0;t=2']
    assert refused.all("RateLimit-Policy") == ['"events";q=10;w=2']
    clock.now += 2.01
    assert gate.ask(EVENTS, f"Bearer {text}", method="POST").status == 200


def test_what_the_service_could_not_do_is_not_charged(gate: Gate, clock: Clock) -> None:
    """Whoever sends a batch again and again until the store is back is not refused then."""
    text = gate.new_key(WRITE, events_per_second=5)
    gate.answer = "503 Service Unavailable"
    for _ in range(10):
        assert gate.ask(EVENTS, f"Bearer {text}", method="POST", events=10).status == 503
    gate.answer = "201 Created"
    assert gate.ask(EVENTS, f"Bearer {text}", method="POST", events=10).status == 201
    gate.answer = "400 Bad Request"
    clock.now += 0.01
    assert gate.ask(EVENTS, f"Bearer {text}", method="POST", events=10).status == 400
    assert gate.ask(EVENTS, f"Bearer {text}", method="POST").status == 429


def test_reports_are_not_counted(gate: Gate, clock: Clock) -> None:
    text = gate.new_key(READ, events_per_second=1)
    assert {gate.ask("/api/v1/reports/starts/", f"Bearer {text}").status for _ in range(50)} == {200}


def test_a_dry_run_says_whom_a_limit_would_meet(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate(dry_run=True)
    text = gate.new_key(WRITE, events_per_second=1)
    with caplog.at_level(logging.WARNING):
        replies = [gate.ask(EVENTS, f"Bearer {text}", method="POST", events=10) for _ in range(10)]
    assert {reply.status for reply in replies} == {200}
    assert len(caplog.records) == 1
    assert "would be refused" in caplog.text
    assert text not in caplog.text


def test_a_dry_run_makes_no_debt_that_a_limit_would_not_make(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """After a rush that would have been refused, a key within its rate is named no more."""
    gate = Gate(dry_run=True)
    text = gate.new_key(WRITE, events_per_second=10)

    def send_for(seconds: int, *, a_second: int) -> None:
        for _ in range(seconds):
            gate.ask(EVENTS, f"Bearer {text}", method="POST", events=a_second)
            clock.now += 1

    send_for(600, a_second=20)
    caplog.clear()
    clock.now += 3
    with caplog.at_level(logging.WARNING):
        send_for(600, a_second=5)
    assert caplog.messages == []


def test_a_rate_that_changes_during_an_exchange_takes_nothing_from_the_sum(clock: Clock) -> None:
    sums = Sums()

    def exchange(numbers: Mapping[str, int]) -> Sequence[int] | None:
        limits.admit(key(rate=50))  # another bucket from now on
        return sums(numbers)

    limits = Limits(default_rate=0, dry_run=False, exchange=exchange)
    bucket, _ = limits.admit(key(rate=10))
    assert bucket
    limits.charge(bucket, 7)
    limits.exchange()
    limits.exchange()
    assert [*sums.sums.values()] == [7]
