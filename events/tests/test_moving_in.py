"""The tables of the earlier service are imported: every event once, by the rules of every import."""

import json
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as django_settings

from conftest import drop_keyspace
from events.domain import DAY_MS, HOUR_MS, Event
from events.tests.dumps import stored
from store import cassandra

KEYSPACE = django_settings.CASSANDRA_KEYSPACE.replace("_test", "_earlier_test")
COLUMNS = "player_id text, ts timestamp, country text, event text, session_id uuid"
INSERT = "(player_id, ts, country, event, session_id) VALUES (?, ?, ?, ?, ?)"
INSERT_WITHOUT_SESSION = "(player_id, ts, country, event) VALUES (?, ?, ?, ?)"


@pytest.fixture(scope="module")
def earlier() -> Iterator[Callable[[list[Event]], None]]:
    """The earlier service's tables, as it created them; stores events as it did."""
    replication = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
    cassandra.execute(f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = {replication}", ())
    for table, key in (("session_by_country", "country"), ("session_by_player_id", "player_id")):
        cassandra.execute(f"CREATE TABLE {KEYSPACE}.{table} ({COLUMNS}, PRIMARY KEY ({key}, ts))", ())

    def store(events: list[Event]) -> None:
        for kind, player, session, ts, country in events:
            for table in ("session_by_country", "session_by_player_id"):
                values = (player, ts, country, kind, *([session] if session else []))
                insert = INSERT if session else INSERT_WITHOUT_SESSION
                cassandra.execute(f"INSERT INTO {KEYSPACE}.{table} {insert}", values)

    yield store
    drop_keyspace(KEYSPACE)


@pytest.fixture
def empty(earlier) -> None:
    for table in ("session_by_country", "session_by_player_id"):
        cassandra.execute(f"TRUNCATE {KEYSPACE}.{table}", ())


def session(player: str, country: str, ts_ms: int, session_id: uuid.UUID | None) -> list[Event]:
    kinds = [("start", ts_ms), ("end", ts_ms + 60_000)]
    return [Event(kind, player, session_id, ts, country) for kind, ts in kinds]


def test_every_event_is_stored_once_and_the_old_ones_are_discarded(run, earlier, empty, player, country, now_ms):
    for hours in range(1, 21):
        earlier(session(player, country, now_ms - hours * HOUR_MS, uuid.uuid4()))
    earlier(session(player, country, now_ms - 400 * DAY_MS, uuid.uuid4()))
    for _ in range(2):  # and again nothing changes
        status, summary = run("--from-keyspace", KEYSPACE)
        assert (status, summary["read"], summary["stored"], summary["discarded"]) == (0, 84, 80, 4)
        assert stored(player, country, now_ms) == (20, 20)


def test_two_events_of_one_moment_are_both_stored(run, earlier, empty, player, country, now_ms):
    """They have one key in the table of the country, and two in that of the players."""
    for name in (f"{player}.1", f"{player}.2"):
        earlier(session(name, country, now_ms - HOUR_MS, uuid.uuid4()))
    run("--from-keyspace", KEYSPACE)
    assert stored(f"{player}.1", country, now_ms) == (2, 1)


def test_events_without_a_session_are_counted_and_have_one_id_from_both_tables(
    run, earlier, empty, player, country, now_ms
):
    earlier(session(player, country, now_ms - HOUR_MS, None))
    status, summary = run("--from-keyspace", KEYSPACE)
    assert status == 0
    assert len(summary["warnings"]) == 2
    assert all("2 events have no session" in warning for warning in summary["warnings"])
    assert stored(player, country, now_ms) == (1, 1)


def test_what_is_no_table_of_the_earlier_service_is_refused(refused):
    assert "no table of the earlier service" in refused("--from-keyspace", django_settings.CASSANDRA_KEYSPACE)
    assert "no name of a keyspace" in refused("--from-keyspace", "a b")


def test_a_file_that_cassandra_wrote_as_json_is_imported(run, earlier, empty, player, country, now_ms, tmp_path):
    """SELECT JSON in cqlsh, and dsbulk unload, give the same lines."""
    earlier(session(player, country, now_ms - HOUR_MS, uuid.uuid4()))
    rows = cassandra.execute(f"SELECT JSON * FROM {KEYSPACE}.session_by_player_id", ())
    assert all(json.loads(text)["player_id"] == player for (text,) in rows)
    (tmp_path / "rows.jsonl").write_text("".join(f"{text}\n" for (text,) in rows))
    status, summary = run("rows.jsonl")
    assert (status, summary["stored"]) == (0, 2)
    assert stored(player, country, now_ms) == (1, 1)
