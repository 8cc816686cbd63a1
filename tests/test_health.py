"""/livez and /readyz."""

import logging
import threading
import time
from typing import Any

import pytest

from sessions_project import health, store_state
from store import cassandra

PROBES = ["/livez", "/readyz"]


pytestmark = pytest.mark.usefixtures("each_look_is_new")


@pytest.mark.parametrize("path", PROBES)
def test_probes_ask_by_the_address_of_a_machine(api, path):
    reply = api.get(path, headers={"host": "10.0.0.5:8000"})
    assert (reply.status_code, reply["Content-Type"]) == (200, "application/json")
    assert api.head(path, headers={"host": "10.0.0.5:8000"}).status_code == 200


def test_tables_that_are_not_as_this_version_needs_them_are_named(api, monkeypatch):
    monkeypatch.setattr(
        store_state, "SELECT_A_DAY", "SELECT of_the_next_version FROM {keyspace}.country_hour WHERE day = ?"
    )
    reply = api.get("/readyz")
    assert reply.status_code == 503
    assert "cannot be read as this version does" in reply.json()["checks"]["cassandra"]


@pytest.mark.parametrize("path", [*PROBES, "/"])
def test_other_methods_are_refused_with_what_is_allowed(api, path):
    reply = api.post(path)
    assert (reply.status_code, reply["Allow"]) == (405, "GET, HEAD")
    assert reply["Content-Type"] == "application/problem+json"
    assert reply.json()["detail"] == "POST is not allowed here. Use GET, HEAD."


def test_others_must_name_a_host_of_the_service(api, caplog):
    caplog.set_level(logging.INFO)
    reply = api.get("/api/v1/reports/starts/", headers={"host": "evil.example"})
    assert (reply.status_code, reply["Content-Type"]) == (400, "application/problem+json")
    assert "ALLOWED_HOSTS" in reply.json()["detail"]
    assert caplog.messages == []  # else strangers could fill the log


def test_a_look_reads_other_parts_of_the_ring_each_time(api, monkeypatch):
    """As many partitions as a report; a part that cannot be read is seen before long."""
    read, execute_many = [], cassandra.execute_many

    def noted(statements: list[Any], **options: Any) -> Any:
        read.append([values for _, values in statements])
        return execute_many(statements, **options)

    monkeypatch.setattr(cassandra, "execute_many", noted)
    for _ in range(2):
        assert api.get("/readyz").status_code == 200
    looks = [days for days in read if len(days) > 1]
    assert [len(set(days)) for days in looks] == [16, 16]
    assert set(looks[0]) != set(looks[1])


def test_strangers_cannot_have_the_store_looked_at_as_often_as_they_ask(api, monkeypatch):
    monkeypatch.setattr(health, "SECONDS_BETWEEN_LOOKS", 60.0)
    first = api.get("/readyz")

    def unavailable(*_: Any, **__: Any) -> Any:
        raise AssertionError("the store was looked at again")

    monkeypatch.setattr(health, "store_state", unavailable)
    again = [api.get("/readyz") for _ in range(20)]
    assert {(reply.status_code, reply.content) for reply in again} == {(200, first.content)}


def test_nobody_waits_for_the_look_of_another(api, monkeypatch):
    """A store that does not answer would hold every thread of the server."""
    readiness, looking, answered = health.Readiness(), threading.Event(), threading.Event()
    first = readiness.look()

    def slow() -> store_state.StoreState:
        looking.set()
        assert answered.wait(10)
        return store_state.StoreState("missing tables")

    monkeypatch.setattr(health, "store_state", slow)
    looker = threading.Thread(target=readiness.look)
    looker.start()
    assert looking.wait(10)
    assert readiness.look() == first
    answered.set()
    looker.join(10)
    monkeypatch.setattr(health, "SECONDS_BETWEEN_LOOKS", 60.0)
    assert not readiness.look().is_ready


def test_a_store_that_answers_too_late_is_tolerated_for_a_while(monkeypatch):
    patience = health.Patience()
    assert not patience.is_over(None)
    assert patience.is_over("Cassandra does not answer")
    assert not patience.is_over(health.TOO_LATE)
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)
    time.sleep(0.06)
    assert patience.is_over(health.TOO_LATE)
    assert not patience.is_over(None)
    assert not patience.is_over(health.TOO_LATE)
