"""Counts are brought up to date before anybody asks: by one process, and by each when Redis is unavailable."""

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.core.cache import caches

from events.counting import background, hours
from events.counting.background import Background
from events.counting.minutes import COUNT_MINUTES, COUNT_STARTS
from events.domain import DAY_MS, HOUR_MS, START, Event, Window, day_of
from events.services import record_events
from store import cassandra
from store.errors import StoreUnavailable


@pytest.fixture(autouse=True)
def ten_days(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease of their own, and ten days are looked through: other tests write into older ones by other clocks.

    Services that other tests have started want the one of the keyspace.
    """
    settings.RETENTION_SECONDS = 10 * DAY_MS // 1_000
    monkeypatch.setattr(background, "LEASE", f"counting.lease.{uuid.uuid4()}")


@pytest.fixture
def counting_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that counts from now on."""
    ask, counted = cassandra.execute_many, []

    def noted(statements: Any, **options: Any) -> Any:
        statements = list(statements)
        counted.extend(cql for cql, _ in statements if cql in (COUNT_MINUTES, COUNT_STARTS))
        return ask(statements, **options)

    monkeypatch.setattr(cassandra, "execute_many", noted)
    return counted


def now() -> int:
    return time.time_ns() // 1_000_000


def record(country: str, *moments: int) -> None:
    record_events([Event(START, "late", uuid.uuid4(), ts, country) for ts in moments], now_ms=now())


def counted(window: Window, country: str) -> int:
    counts = hours.count_starts(window=window, now_ms=now(), deadline=cassandra.deadline_from_now())
    return sum(counts.starts.get(country, []))


@pytest.fixture
def caught_up() -> Callable[[], Background]:
    """A background that has looked through every day."""

    def catch_up() -> Background:
        one = Background()
        one.round(now())
        while one._unread:
            one.round(now())
        return one

    return catch_up


def test_what_was_written_late_is_counted_before_a_report_asks(country, caught_up, counting_statements) -> None:
    background, day = caught_up(), day_of(now()) - 8 * DAY_MS
    window = Window(day - 1, day + DAY_MS - 1)
    record(country, day + HOUR_MS, day + 7 * HOUR_MS)
    background.round(now())
    counting_statements.clear()
    assert counted(window, country) == 2
    assert counting_statements == []
    record(country, day + HOUR_MS + 1)
    assert counted(window, country) == 3
    assert counting_statements != []


def test_a_process_that_has_just_started_finds_what_was_written_before(country, caught_up, counting_statements) -> None:
    day = day_of(now()) - 7 * DAY_MS
    record(country, day + HOUR_MS)
    caught_up()
    counting_statements.clear()
    assert counted(Window(day - 1, day + DAY_MS - 1), country) == 1
    assert counting_statements == []


def test_one_process_at_a_time_does_it(country, caught_up, counting_statements) -> None:
    caught_up()
    record(country, day_of(now()) - 6 * DAY_MS + HOUR_MS)
    counting_statements.clear()
    Background().round(now())
    assert counting_statements == []


def test_garbage_in_place_of_the_lease_does_not_stop_anybody(country, caught_up, counting_statements) -> None:
    cache = caches["default"]
    cache.client.get_client().set(str(cache.client.make_key(background.LEASE)), b"garbage")
    one = caught_up()
    record(country, day_of(now()) - 5 * DAY_MS + HOUR_MS)
    counting_statements.clear()
    one.round(now())
    assert counting_statements != []


def test_every_process_does_it_when_redis_is_unavailable(settings, country, monkeypatch, counting_statements) -> None:
    class Unavailable:
        """A cache as ReportCache is while Redis does not answer."""

        def hold(self, *arguments: Any, **options: Any) -> None:
            return None

    monkeypatch.setattr(background, "caches", {"default": Unavailable()})
    for one in (Background(), Background()):
        record(country, now() - 2 * DAY_MS)
        counting_statements.clear()
        one.round(now())
        assert counting_statements != []


def test_a_day_that_cannot_be_counted_holds_up_no_others(now_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, *good = (day_of(now_ms) - number * DAY_MS for number in range(380, 384))
    counted: list[int] = []

    def count(days: Sequence[int], *, now_ms: int) -> None:
        if bad in days:
            raise StoreUnavailable("too large")
        counted.extend(days)

    monkeypatch.setattr(background, "bring_up_to_date", count)
    one = Background()
    one._looked_ms = now_ms
    one._dirty = {bad, *good}
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="too large"):
            one.round(now_ms)
    assert {*good} <= {*counted}
    assert bad in one._dirty
