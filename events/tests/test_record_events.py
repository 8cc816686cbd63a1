"""POST /api/v1/events/"""

import gzip
import http.client
import json
import time
import uuid
from contextlib import closing
from itertools import chain, repeat
from urllib.parse import urlsplit

import pytest

from events import domain, services
from events.api import views
from events.api.views import prefers_lenient
from events.commits import commits
from events.domain import Event, day_of, format_timestamp, hour_of
from events.late_writes import CLOCK_SET_BACK_MS, Writer, slot_of
from events.services import record_events
from reports import player_sessions
from reports.starts import report_window, starts_of_country
from store import cassandra
from store.errors import StoreUnavailable

EVENTS = "/api/v1/events/"


def start(player: str, country: str = "FI", **fields: object) -> dict[str, object]:
    return {"event": "start", "player_id": player, "country": country, "session_id": str(uuid.uuid4()), **fields}


def rows_of(player: str) -> list[tuple]:
    return cassandra.execute("SELECT * FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,))


def test_a_start_and_an_end_are_stored_and_each_has_a_result(api, player):
    reply = api.post(EVENTS, [start(player), start(player, event="end")], format="json")
    assert reply.status_code == 201
    assert (reply.data["stored"], reply.data["discarded"]) == (2, 0)
    assert [result["status"] for result in reply.data["results"]] == ["stored", "stored"]
    assert len(rows_of(player)) == 2


def test_ten_events_are_stored(api, player):
    assert api.post(EVENTS, [start(player) for _ in range(10)], format="json").status_code == 201
    assert len(rows_of(player)) == 10


@pytest.mark.parametrize(("number", "code"), [(0, "batch_empty"), (11, "batch_too_large")])
def test_other_batch_sizes_are_refused(api, player, number, code):
    reply = api.post(EVENTS, [start(player) for _ in range(number)], format="json")
    assert reply.status_code == 400
    assert reply.json()["errors"][0] == {"pointer": "", "code": code, "detail": reply.json()["errors"][0]["detail"]}
    assert not rows_of(player)


def test_a_single_event_may_come_without_its_array(api, player):
    assert api.post(EVENTS, start(player), format="json").json()["stored"] == 1


def test_an_event_without_session_id_gets_one(api, player):
    event = start(player)
    del event["session_id"]
    given = api.post(EVENTS, event, format="json").json()["results"][0]["session_id"]
    assert [str(row[1]) for row in rows_of(player)] == [given]


def test_an_event_without_ts_has_the_time_of_receipt(api, player, now_ms):
    api.post(EVENTS, start(player), format="json")
    [(started_ms,)] = cassandra.execute(
        "SELECT toUnixTimestamp(started_at) FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,)
    )
    assert 0 <= started_ms - now_ms < 10_000


def test_a_session_id_without_dashes_is_the_same_session(api, player, now_ms):
    session, ts = uuid.uuid4(), format_timestamp(now_ms)
    for spelling in (str(session), session.hex, session.hex.upper()):
        api.post(EVENTS, start(player, session_id=spelling, ts=ts), format="json")
    assert len(rows_of(player)) == 1


def test_unknown_fields_are_ignored(api, player):
    assert api.post(EVENTS, start(player, level=12, tags={"a": [1]}), format="json").status_code == 201


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("event", "pause", "invalid_choice"),
        ("event", "Start", "invalid_choice"),
        ("event", None, "null"),
        ("event", ["start"], "invalid"),
        ("player_id", 5, "invalid"),
        ("player_id", True, "invalid"),
        ("player_id", "", "blank"),
        ("player_id", "a" * 65, "invalid_player_id"),
        ("player_id", "it's", "invalid_player_id"),
        ("player_id", "a\n", "invalid_player_id"),
        ("player_id", "\ud800", "invalid_player_id"),
        ("player_id", "a\0", "invalid_player_id"),
        ("session_id", 7, "invalid"),
        ("session_id", "4a0c43c9-c43a-42ff-ba55", "invalid_session_id"),
        ("session_id", "urn:uuid:4a0c43c9-c43a-42ff-ba55-67563dfa35d4", "invalid_session_id"),
        ("session_id", str(uuid.UUID(int=0)), "nil_session_id"),
        ("session_id", uuid.UUID(int=0).hex, "nil_session_id"),
        ("ts", 1480682885, "invalid"),
        ("ts", True, "invalid"),
        ("ts", "yesterday", "invalid_timestamp"),
        ("ts", "2016-12-02", "invalid_timestamp"),
        ("ts", "2016-13-02T12:48:05", "invalid_timestamp"),
        ("ts", "0001-01-01T00:00:00+10:00", None),
        ("ts", "2999-01-01T00:00:00Z", "in_the_future"),
        ("country", "FIN", "invalid_country"),
        ("country", "F1", "invalid_country"),
        ("country", "ÅÄ", "invalid_country"),
        ("country", 12, "invalid"),
        ("country", None, "required"),
    ],
)
def test_a_wrong_value_is_named_by_its_pointer(api, player, field, value, code):
    body = json.dumps([start(player), {**start(player), field: value}])
    reply = api.post(EVENTS, body, content_type="application/json")
    if code is None:  # odd but valid: a moment long ago
        assert reply.json()["discarded"] == 1
        return
    assert reply.status_code == 400
    assert reply["Content-Type"] == "application/problem+json"
    assert [(error["pointer"], error["code"]) for error in reply.json()["errors"]] == [(f"/1/{field}", code)]
    assert not rows_of(player)


def test_a_missing_field_is_named(api, player):
    for field in ("event", "player_id", "country"):
        event = start(player)
        del event[field]
        [error] = api.post(EVENTS, event, format="json").json()["errors"]
        assert (error["pointer"], error["code"]) == (f"/{field}", "required")


def test_null_is_absent(api, player, now_ms):
    """As serializers of C# and Java and exports of tables write it."""
    session = uuid.uuid4()
    record_events([Event("start", player, session, now_ms - 60_000, "FI")], now_ms=now_ms)
    end = {"event": "end", "player_id": player, "session_id": str(session), "ts": None, "country": None}
    [result] = api.post(EVENTS, [end], format="json").json()["results"]
    assert result == {"session_id": str(session), "status": "stored"}
    [row] = api.get(f"/by-player/{player}").json()
    assert row["country"] == "FI"
    assert now_ms <= domain.parse_timestamp(row["ended_at"]) < now_ms + 10_000
    given = api.post(EVENTS, [{**end, "session_id": None}], format="json").json()["results"][0]["session_id"]
    assert {uuid.UUID(given), session} == {row[1] for row in rows_of(player)}


@pytest.mark.parametrize(
    "ts",
    [1795946400000, 1795946400.5, True, [], {}, "", "1795946400", "2026-11-29T10:00:00 UTC", "2026-11-29T24:00:00Z",
     "2026-11-29T10:00:60Z", "2026-11-29", "29.11.2026 10:00"],
)  # fmt: skip
def test_a_ts_of_another_form_is_refused_with_the_forms_that_are_accepted(api, player, ts):
    [error] = api.post(EVENTS, [start(player, ts=ts)], format="json").json()["errors"]
    assert error["pointer"] == "/0/ts"
    assert error["detail"].startswith("Send an ISO 8601 date and time as a string, such as 2016-12-02T12:48:05.520Z")
    assert "%2B" not in error["detail"]  # a body is no address


def test_the_nil_uuid_is_refused_and_sessions_that_have_it_already_are_shown(api, player, country, now_ms):
    nil = str(domain.NIL_SESSION_ID)
    [error] = api.post(EVENTS, [start(player, session_id=nil)], format="json").json()["errors"]
    assert (error["pointer"], error["code"]) == ("/0/session_id", "nil_session_id")
    assert "nil UUID" in error["detail"]
    assert not rows_of(player)
    record_events([Event("start", player, domain.NIL_SESSION_ID, now_ms, country)], now_ms=now_ms)
    record_events([Event("end", player, domain.NIL_SESSION_ID, now_ms, None)], now_ms=now_ms)
    lists = [
        api.get(f"/api/v1/reports/starts/{country}/").json()["results"],
        api.get(f"/api/v1/reports/players/{player}/sessions/").json()["results"],
        api.get(f"/by-player/{player}").json(),
    ]
    assert [[row["session_id"] for row in rows] for rows in lists] == [[nil]] * 3


def test_an_end_needs_no_country(api, player):
    event = start(player, event="end")
    del event["country"]
    assert api.post(EVENTS, event, format="json").status_code == 201


def test_every_error_of_every_event_is_in_the_reply(api):
    reply = api.post(EVENTS, [{"event": "x", "player_id": 1}, 3, {"event": "end"}], format="json")
    assert [error["pointer"] for error in reply.json()["errors"]] == [
        "/0/event",
        "/0/player_id",
        "/1",
        "/2/player_id",
    ]


def test_what_is_wrong_across_fields_is_reported_beside_them(api):
    late = "2999-01-01T00:00:00Z"
    batch = [
        {"event": "start", "player_id": "a b"},
        {"event": "start", "player_id": "a", "ts": late},
        {"event": "start", "player_id": "a", "ts": late, "country": "xxx"},
        {"event": "end", "player_id": 1, "ts": "now"},
    ]
    assert [(error["pointer"], error["code"]) for error in api.post(EVENTS, batch, format="json").json()["errors"]] == [
        ("/0/player_id", "invalid_player_id"),
        ("/0/country", "required"),
        ("/1/ts", "in_the_future"),
        ("/1/country", "required"),
        ("/2/country", "invalid_country"),
        ("/2/ts", "in_the_future"),
        ("/3/player_id", "invalid"),
        ("/3/ts", "invalid_timestamp"),
    ]


def test_lenient_handling_stores_the_valid_ones(api, player):
    batch = [start(player), {"event": "end"}, start(player, ts="2001-01-01T00:00:00Z")]
    reply = api.post(EVENTS, batch, format="json", headers={"prefer": "handling=lenient"})
    assert reply.status_code == 207
    assert reply["Preference-Applied"] == "handling=lenient"
    answer = reply.json()
    assert (answer["stored"], answer["discarded"], answer["invalid"]) == (1, 1, 1)
    assert [result["status"] for result in answer["results"]] == ["stored", "invalid", "discarded"]
    assert answer["results"][1]["errors"][0]["pointer"] == "/1/player_id"
    assert len(rows_of(player)) == 1


def test_lenient_handling_points_into_a_body_that_is_one_event(api, player):
    reply = api.post(
        EVENTS, {"event": "start", "player_id": player}, format="json", headers={"prefer": "handling=lenient"}
    )
    assert (reply.status_code, reply.json()["stored"]) == (207, 0)
    assert reply.json()["results"][0]["errors"][0]["pointer"] == "/country"


def test_lenient_handling_of_a_good_batch_is_plain_success(api, player):
    reply = api.post(EVENTS, [start(player)], format="json", headers={"prefer": "handling=lenient"})
    assert (reply.status_code, reply["Preference-Applied"]) == (201, "handling=lenient")


def test_lenient_handling_still_wants_a_batch(api):
    assert api.post(EVENTS, [], format="json", headers={"prefer": "handling=lenient"}).status_code == 400


@pytest.mark.parametrize(
    ("preferences", "lenient"),
    [
        ("handling=lenient", True),
        ('respond-async, Handling = "lenient"; x=1', True),
        ("handling=strict, handling=lenient", False),
        ("x-handling=lenient", False),
        ("handling=lenient-not", False),
        ('note="handling=lenient"', False),
        ("", False),
    ],
)
def test_preferences_are_read_as_their_rfc_says(preferences, lenient):
    assert prefers_lenient(preferences) is lenient


def test_a_number_of_any_length_in_a_field_that_is_ignored_is_no_trouble(api, player):
    for name in ("x", "ä"):
        body = json.dumps([{**start(player), name: 0}], ensure_ascii=False).replace(": 0", ": " + "9" * 5_000)
        assert api.post(EVENTS, body.encode(), content_type="application/json").status_code == 201


def test_what_a_paused_process_writes_late_leaves_a_register(player, country, now_ms, monkeypatch):
    """Its clock goes on while it is paused: a count may have been stored meanwhile."""
    clock = chain([now_ms, now_ms + 200_000], repeat(now_ms + 200_000))
    monkeypatch.setattr(services, "wall_clock_ms", lambda: next(clock))
    event = Event("start", player, uuid.uuid4(), now_ms, country)
    assert services.record_events([event], now_ms=now_ms) == [True]
    query = "SELECT last_slot FROM {keyspace}.start_count WHERE day = ? AND hour = ? AND country = ?"
    [(last_slot,)] = cassandra.execute(query, (day_of(now_ms), hour_of(now_ms), country))
    assert last_slot >= slot_of(now_ms + 200_000)
    assert len(rows_of(player)) == 1


def test_so_does_one_that_was_paused_before_it_began_to_write(api, player, country, monkeypatch):
    """The clock that stamps an event is the one that tells how long its write took."""
    real_ms = services.wall_clock_ms()
    early = chain([real_ms - 3_600_000], repeat(real_ms))
    clock = lambda: next(early)  # noqa: E731  # one clock for both
    monkeypatch.setattr(views, "wall_clock_ms", clock)
    monkeypatch.setattr(services, "wall_clock_ms", clock)
    assert api.post(EVENTS, [start(player, country)], format="json").status_code == 201
    touched = cassandra.execute(
        "SELECT touched FROM {keyspace}.country_hour WHERE day = ? AND hour = ? AND country = ?",
        (day_of(real_ms - 3_600_000), hour_of(real_ms - 3_600_000), country),
    )
    assert touched[0][0]


def test_a_gzip_body_is_understood(api, player):
    body = gzip.compress(json.dumps([start(player)]).encode())
    reply = api.post(EVENTS, body, content_type="application/json", headers={"content-encoding": "gzip"})
    assert reply.status_code == 201
    assert len(rows_of(player)) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b'"text"', 400),
        (b"5", 400),
        (b"null", 400),
        (b"[NaN]", 400),
        (b'[{"event": "start", "player_id": "\xff\xfe"}]', 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 50_000, 400),
        (b"[" + b" " * 20_000_000 + b"]", 413),
        (b"9" * 5_000, 400),
    ],
)
def test_a_body_that_is_no_batch_is_refused(api, body, status):
    reply = api.post(EVENTS, body, content_type="application/json")
    assert reply.status_code == status
    assert reply.json()["status"] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(b" " * 50_000_000), 413),
        (b"not gzip", 400),
        (gzip.compress(b"[]")[:-4], 400),
        (gzip.compress(b"nonsense"), 400),
    ],
)
def test_a_bad_gzip_body_is_refused(api, body, status):
    reply = api.post(EVENTS, body, content_type="application/json", headers={"content-encoding": "gzip"})
    assert reply.status_code == status


def test_other_encodings_and_media_types_are_refused(api):
    brotli = api.post(EVENTS, b"x", content_type="application/json", headers={"content-encoding": "br"})
    form = api.post(EVENTS, b"event=start", content_type="application/x-www-form-urlencoded")
    assert (brotli.status_code, form.status_code) == (415, 415)
    assert form.json()["detail"].endswith("Send Content-Type: application/json.")


def test_other_methods_are_refused_with_what_is_allowed(api):
    reply = api.get(EVENTS)
    assert (reply.status_code, reply["Allow"]) == (405, "POST, OPTIONS")
    assert reply["Content-Type"] == "application/problem+json"


def test_a_forgotten_slash_is_named_in_the_refusal(api):
    reply = api.post("/api/v1/events", [], format="json")
    assert reply.status_code == 404
    assert "Did you mean /api/v1/events/ ?" in reply.json()["detail"]


def test_the_request_id_comes_back(api, player):
    assert api.post(EVENTS, start(player), format="json", headers={"x-request-id": "abc-1"})["X-Request-ID"] == "abc-1"
    assert api.post(EVENTS, start(player), format="json", headers={"x-request-id": "a b\n"})["X-Request-ID"] != "a b\n"


def test_the_legacy_address_takes_its_event_as_it_stands(api, player):
    body = '{"country":"US","event":"start","player_id":"player_2"}'.replace("player_2", player)
    reply = api.post("/event-handler", body, content_type="application/json")
    assert (reply.status_code, reply.content) == (204, b"")
    assert len(rows_of(player)) == 1


def test_the_legacy_address_takes_an_array_too(api, player):
    events = [start(player) for _ in range(10)]
    reply = api.post("/event-handler", events, format="json")
    assert (reply.status_code, reply.content) == (204, b"")
    assert len(rows_of(player)) == 10
    assert api.post("/event-handler", [*events, start(player)], format="json").status_code == 400


def test_the_legacy_address_refuses_as_the_new_one_does(api):
    reply = api.post("/event-handler", {"event": "start"}, format="json")
    assert [error["pointer"] for error in reply.json()["errors"]] == ["/player_id", "/country"]


def test_every_version_of_a_writer_is_new_even_when_its_clock_is_set_back():
    writer = Writer()
    moments = [50_000, 50_000, 49_999, 45_000, 60_000, 60_000 - CLOCK_SET_BACK_MS - 1]
    names, versions = zip(*map(writer.next_version, moments), strict=True)
    assert versions == (50_000, 50_001, 50_002, 50_003, 60_000, 49_999)
    assert len(set(names[:5])) == 1
    assert names[5] != names[4]


def test_an_hour_index_entry_is_left_out_only_when_it_is_durable(player, country, now_ms, monkeypatch):
    event = Event("start", player, uuid.uuid4(), now_ms, country)

    def unavailable(statements: object, *, seconds: float) -> None:
        raise StoreUnavailable("unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(commits, "write", unavailable)
        with pytest.raises(StoreUnavailable):
            record_events([event], now_ms=now_ms)
    record_events([event], now_ms=now_ms)
    window = report_window(hours=1, as_of_ms=now_ms, now_ms=now_ms)
    assert starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)[0] == 1


@pytest.mark.parametrize(("ahead_seconds", "status"), [(290, 201), (310, 400)])
def test_an_end_may_be_a_little_ahead_of_our_clock(api, player, now_ms, ahead_seconds, status):
    event = {"event": "end", "player_id": player, "ts": format_timestamp(now_ms + ahead_seconds * 1_000)}
    assert api.post(EVENTS, [event], format="json").status_code == status
    for few in (0, 100):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(player_sessions, "FEW_SESSIONS", few)
            assert len(api.get(f"/by-player/{player}").json()) == (status == 201)


def test_a_body_may_come_in_chunks(shared_web, player):
    headers = {"Content-Type": "application/json"}

    def status_of(body: bytes) -> int:
        with closing(http.client.HTTPConnection(urlsplit(shared_web.url).netloc, timeout=10)) as connection:
            pieces = (body[first : first + 100] for first in range(0, len(body), 100))
            connection.request("POST", EVENTS, pieces, headers, encode_chunked=True)
            return connection.getresponse().status

    assert status_of(json.dumps([start(player) for _ in range(3)]).encode()) == 201
    assert status_of(b" " * 262_145) == 413


def test_a_write_alone_finds_out_that_the_store_is_back(api, player):
    cassandra._writes.failed(asked_at=time.monotonic() + 1)  # as if nothing had been answered for long
    assert api.post(EVENTS, start(player), format="json").status_code == 503
    time.sleep(1.1)
    assert [api.post(EVENTS, start(player), format="json").status_code for _ in range(2)] == [201, 201]
