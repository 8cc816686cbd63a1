"""How a request goes to Cassandra."""

import pytest
from cassandra import ConsistencyLevel
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
