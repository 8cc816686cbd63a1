"""/livez and /readyz."""

import logging

import pytest

from sessions_project import health

PROBES = ["/livez", "/readyz"]


@pytest.mark.parametrize("path", PROBES)
def test_probes_ask_by_the_address_of_a_machine(api, path):
    reply = api.get(path, headers={"host": "10.0.0.5:8000"})
    assert (reply.status_code, reply["Content-Type"]) == (200, "application/json")
    assert api.head(path, headers={"host": "10.0.0.5:8000"}).status_code == 200


def test_tables_that_are_not_as_this_version_needs_them_are_named(api, monkeypatch):
    monkeypatch.setattr(health, "SELECT_A_DAY", "SELECT of_the_next_version FROM {keyspace}.country_hour WHERE day = ?")
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
