"""What a request has read and made is freed when it has been answered, not when the garbage collector comes.

A report is hundreds of rows; left in cycles, those of a few made the collector stop the process for milliseconds.
"""

import gc
import uuid
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from cassandra.cluster import ResponseFuture
from rest_framework.test import APIClient

from events.domain import Event
from events.services import record_events
from store import cassandra
from tests.clients import wait_for

SESSIONS = 60
MOST_SECONDS = 5.0


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive(kind: type) -> int:
    return sum(type(one) is kind for one in gc.get_objects())


@pytest.fixture
def report_of(country: str, player: str, now_ms: int) -> Callable[[str], str]:
    for first in range(0, SESSIONS, 10):
        sessions = [uuid.uuid4() for _ in range(10)]
        record_events([Event("start", player, one, now_ms - first, country) for one in sessions], now_ms=now_ms)
        record_events([Event("end", player, one, now_ms, None) for one in sessions[:5]], now_ms=now_ms)
    addresses = {
        "country": f"/api/v1/reports/starts/{country}/?hours=1",
        "all countries": "/api/v1/reports/starts/?hours=1&sessions=100",
        "player": f"/api/v1/reports/players/{player}/sessions/?state=all&limit=100",
    }
    return addresses.__getitem__


@pytest.mark.parametrize("report", ["country", "all countries", "player"])
def test_the_sessions_of_a_report_are_freed_without_the_collector(
    api: APIClient, report_of: Callable[[str], str], report: str
) -> None:
    before = alive(uuid.UUID)
    reply = api.get(report_of(report))
    assert reply.status_code == 200
    assert reply.content.count(b'"session_id"') >= SESSIONS
    wait_for(lambda: alive(uuid.UUID) < before + SESSIONS / 2)  # the driver has rows in its hands for a moment longer


def written(player: str, now_ms: int) -> None:
    cassandra.execute_batch([row(player, now_ms)], seconds=MOST_SECONDS)


def written_with_an_answer(player: str, now_ms: int) -> None:
    """As in a ring."""
    answers: SimpleQueue[Any] = SimpleQueue()
    cassandra._send_answering(cassandra._connected(), [row(player, now_ms)], answers, logged=True, seconds=MOST_SECONDS)
    assert answers.get(timeout=2 * MOST_SECONDS).error is None


def read(player: str, now_ms: int) -> None:
    cassandra.execute("SELECT ended_at FROM {keyspace}.completed_session_by_player_id WHERE player_id = ?", (player,))


def row(player: str, now_ms: int) -> cassandra.Statement:
    insert = """
        INSERT INTO {keyspace}.completed_session_by_player_id (player_id, ended_at, session_id) VALUES (?, ?, ?)
        USING TTL 60"""
    return insert, (player, now_ms, uuid.uuid4())


@pytest.mark.parametrize("ask", [read, written, written_with_an_answer])
def test_the_future_of_a_statement_is_freed_without_the_collector(
    player: str, now_ms: int, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str, int], None]
) -> None:
    session, futures = cassandra._connected(), []
    send = session.execute_async

    def noted(*arguments: Any, **options: Any) -> ResponseFuture:
        future = send(*arguments, **options)
        futures.append(weakref.ref(future))
        return future

    monkeypatch.setattr(session, "execute_async", noted)
    ask(player, now_ms)
    assert len(futures) == 1
    wait_for(lambda: futures[0]() is None)
