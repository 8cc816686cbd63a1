"""How a request goes to Cassandra."""

import pytest
from cassandra import ConsistencyLevel, InvalidRequest, OperationTimedOut, Unauthorized
from cassandra.protocol import OverloadedErrorMessage, ServerError, SyntaxException
from cassandra.query import BatchStatement, BatchType
from django.conf import settings
from django.db import connections

from sessions_project import cassandra


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
def test_what_is_refused_for_ever_is_told_from_what_may_pass(
    monkeypatch: pytest.MonkeyPatch, error: Exception, for_ever: bool
) -> None:
    """An import waits for the one, and ends at the other; to a request both are a 503."""

    def fail(*_: object, **__: object) -> None:
        raise error

    session = connections["cassandra"].connection.session
    cassandra.execute("SELECT release_version FROM system.local", ())
    monkeypatch.setattr(session, "execute_async", fail)
    with pytest.raises(cassandra.StoreUnavailable) as told:
        cassandra.execute("SELECT release_version FROM system.local", ())
    assert isinstance(told.value, cassandra.StatementRefused) == for_ever
