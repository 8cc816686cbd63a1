"""How a request goes to Cassandra."""

import time
import uuid

import pytest
from cassandra import ConsistencyLevel, InvalidRequest, OperationTimedOut, Unauthorized
from cassandra.cluster import ResponseFuture
from cassandra.protocol import OverloadedErrorMessage, ServerError, SyntaxException
from cassandra.query import BatchStatement, BatchType, BoundStatement
from django.conf import settings
from django.db import connections

from benchmarks.players import fill_player
from events.domain import HOUR_MS, MINUTE_MS, Event, Window
from events.services import record_events
from metrics.catalogue import STATEMENTS
from metrics.cells import totals
from reports.starts import starts_of_country
from store import cassandra
from store.circuit_breaker import Breaker
from store.errors import StatementRejected, StoreError, StoreUnavailable
from store.load_balancing import SECOND_COUNT_SECONDS, SECOND_TRY_SECONDS

# Of the tests' settings: one statement, not a report.
MOST_SECONDS = settings.CASSANDRA_TIMEOUT_SECONDS


def test_each_page_of_a_long_read_is_counted_as_a_statement(player: str, now_ms: int) -> None:
    fill_player(player, 5, now_ms=now_ms)
    select = "SELECT session_id FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    answered = (STATEMENTS.name, "read", "answered")
    before = totals().get(answered, [0])[0]
    pages = [*cassandra.read_pages(select, (player,), rows=2)]
    assert [len(rows) for rows in pages] == [2, 2, 1]
    assert totals()[answered][0] == before + 3


def test_a_batch_of_events_is_one_logged_batch_at_the_local_quorum(api, player, monkeypatch: pytest.MonkeyPatch):
    kinds: list[BatchType] = []

    class Noted(BatchStatement):
        def __init__(self, kind: BatchType) -> None:
            kinds.append(kind)
            super().__init__(kind)

    monkeypatch.setattr(cassandra, "BatchStatement", Noted)
    event = {"event": "start", "player_id": player, "country": "FI"}
    assert api.post("/api/v1/events/", [event] * 3, format="json").status_code == 201
    assert kinds == [BatchType.LOGGED]
    profiles = connections["cassandra"].connection.cluster.profile_manager.profiles
    assert profiles[settings.CASSANDRA_PROFILE].consistency_level == ConsistencyLevel.LOCAL_QUORUM


def test_only_what_counts_may_take_all_the_time_of_a_report(country, player, now_ms, monkeypatch) -> None:
    """And is sent to a second node later than the rest."""
    record_events([Event("start", player, uuid.uuid4(), now_ms - HOUR_MS, country)], now_ms=now_ms)
    session, asked = cassandra._connected(), []

    def noted(statement: BoundStatement, *, timeout: float, execution_profile: str) -> ResponseFuture:
        if isinstance(statement, BoundStatement):  # not the batches of counts that are stored
            cql = statement.prepared_statement.query_string
            asked.append(("COUNT(" in cql or "(int) 1" in cql, timeout > MOST_SECONDS, execution_profile))
        return send(statement, timeout=timeout, execution_profile=execution_profile)

    send = session.execute_async
    monkeypatch.setattr(session, "execute_async", noted)
    window = Window(now_ms - HOUR_MS - MINUTE_MS // 2, now_ms)
    assert starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)[0] == 1
    counts, rest = (True, True, settings.CASSANDRA_COUNTING_PROFILE), (False, False, settings.CASSANDRA_PROFILE)
    assert set(asked) == {counts, rest}
    asking, counting = (session.cluster.profile_manager.profiles[one[-1]] for one in (rest, counts))
    assert asking.speculative_execution_policy.delay == SECOND_TRY_SECONDS
    assert counting.speculative_execution_policy.delay == SECOND_COUNT_SECONDS
    assert (asking.load_balancing_policy._probes_unresponsive, counting.load_balancing_policy._probes_unresponsive) == (
        True,
        False,
    )


@pytest.mark.parametrize(("timeout", "is_open"), [(2 * MOST_SECONDS, False), (MOST_SECONDS, True), (0.1, True)])
def test_the_store_is_left_alone_when_it_answered_nobody_in_half_of_the_time(timeout: float, is_open: bool) -> None:
    breaker = Breaker(pause_seconds=60)
    breaker._last_answer = time.monotonic() - 0.75 * MOST_SECONDS
    cassandra._store_error(OperationTimedOut(timeout=timeout), breaker)
    assert breaker.is_open == is_open


def test_reads_that_take_too_long_leave_writes_alone(player, now_ms, settings) -> None:
    """All of a player's sessions do not come within a millisecond."""
    fill_player(player, 3_000, now_ms=now_ms)
    read = "SELECT session_id FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    assert len(cassandra.execute(read, (player,))) == 3_000
    settings.CASSANDRA_TIMEOUT_SECONDS = 0.001
    with pytest.raises(StoreUnavailable, match="OperationTimedOut"):
        cassandra.execute(read, (player,))
    settings.CASSANDRA_TIMEOUT_SECONDS = MOST_SECONDS
    event = Event("end", player, uuid.uuid4(), now_ms, None)
    assert record_events([event], now_ms=now_ms) == [True]
    with pytest.raises(StoreUnavailable, match="not answered for a while"):
        cassandra.execute(read, (player,))
    time.sleep(1.1)
    assert len(cassandra.execute(read, (player,))) == 3_001


@pytest.mark.parametrize(
    ("error", "for_ever"),
    [
        (Unauthorized("no MODIFY permission"), True),
        (Unauthorized("Unable to perform authorization of permissions: Cannot achieve consistency level"), False),
        (InvalidRequest("no such column"), True),
        (SyntaxException(0x2000, "no viable alternative", {}), True),
        (ServerError(0x0000, "of its own", {}), False),
        (OverloadedErrorMessage(0x1001, "for a moment", {}), False),
        (OperationTimedOut(), False),
    ],
)
def test_what_is_refused_for_ever_differs_from_what_may_pass(
    monkeypatch: pytest.MonkeyPatch, error: Exception, for_ever: bool
) -> None:
    """An import waits for the one, and ends at the other; a request gets a 503 for the one, a 500 for the other."""

    def fail(*_: object, **__: object) -> None:
        raise error

    session = connections["cassandra"].connection.session
    cassandra.execute("SELECT release_version FROM system.local", ())
    monkeypatch.setattr(session, "execute_async", fail)
    with pytest.raises(StoreError) as raised:
        cassandra.execute("SELECT release_version FROM system.local", ())
    assert isinstance(raised.value, StatementRejected if for_ever else StoreUnavailable)
