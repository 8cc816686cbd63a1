"""What a request has read and made is freed when it has been answered, not when the garbage collector comes.

A report is hundreds of rows; left in cycles, those of a few made the collector stop the process for milliseconds.
"""

import gc
import uuid
from collections.abc import Callable, Iterator

import pytest
from rest_framework.test import APIClient

from events.domain import Event
from events.services import record_events
from sessions_project import cassandra

SESSIONS = 60


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
def test_the_sessions_of_a_report(api: APIClient, report_of: Callable[[str], str], report: str) -> None:
    before = alive(uuid.UUID)
    reply = api.get(report_of(report))
    assert reply.status_code == 200
    assert reply.content.count(b'"session_id"') >= SESSIONS
    assert alive(uuid.UUID) < before + SESSIONS / 2


def test_the_rows_of_a_statement() -> None:
    before = alive(tuple)
    cql = "SELECT keyspace_name, table_name, column_name FROM system_schema.columns WHERE keyspace_name = ?"
    rows = len(cassandra.execute(cql, ("system",)))
    assert rows > 100
    assert alive(tuple) < before + rows / 2
