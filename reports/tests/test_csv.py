"""The start reports as CSV."""

import csv
import errno
import time
import uuid
from contextlib import closing

import pytest

from events.domain import HOUR_MS, Event, format_timestamp
from events.services import record_events
from reports import spreadsheets, starts
from reports.spreadsheets import DOWNLOADS_AT_A_TIME
from reports.tests.test_starts import STARTS, record_starts
from store.errors import StoreUnavailable


def table_of(reply) -> list[list[str]]:
    assert reply["Content-Type"] == "text/csv; charset=utf-8"
    content = reply.getvalue() if reply.streaming else reply.content
    assert int(reply["Content-Length"]) == len(content)
    assert content.endswith(b"\r\n")
    return list(csv.reader(content.decode().splitlines()))


def get(api, path: str, **query: object):
    return api.get(path, {"format": "csv", **query})


def test_a_country_has_a_row_for_each_start_and_a_file_name_that_says_the_question(api, country, now_ms):
    events = record_starts(country, now_ms - 1_000, now_ms - 2_000, now_ms=now_ms)
    reply = get(api, f"{STARTS}{country}/", hours=1, as_of=format_timestamp(now_ms))
    assert table_of(reply) == [
        ["session_id", "player_id", "ts"],
        *([str(event.session_id), event.player_id, format_timestamp(event.ts_ms)] for event in events),
    ]
    to = format_timestamp(now_ms)[:19].replace(":", "")
    assert reply["Content-Disposition"] == f'attachment; filename="starts-{country}-1h-to-{to}Z.csv"'


def test_it_can_be_asked_for_by_its_media_type(api, country):
    for address in (STARTS, f"{STARTS}{country}/", f"{STARTS}timeline/"):
        reply = api.get(address, headers={"accept": "text/csv"})
        assert table_of(reply)
        assert reply["Vary"] == "Accept"
        assert api.get(address)["Content-Type"] == "application/json"
        assert "Accept" in api.get(address)["Vary"].split(", ")


def test_the_file_has_every_row_of_the_window_once(api, monkeypatch, settings, country, now_ms):
    settings.COUNTRY_SHARDS = "2"
    monkeypatch.setattr(starts, "STARTS_AT_A_TIME", 7)
    same = [now_ms - 5_000] * 23
    events = record_starts(country, *same, *range(now_ms - 90 * HOUR_MS, now_ms, HOUR_MS), now_ms=now_ms)
    _, *rows = table_of(get(api, f"{STARTS}{country}/", hours=100))
    assert {uuid.UUID(row[0]) for row in rows} == {event.session_id for event in events}
    assert len(rows) == len(events)
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)


def test_the_csv_of_the_timeline_and_of_the_countries_has_their_numbers(api, country, now_ms):
    record_starts(country, now_ms - HOUR_MS, now_ms, now_ms=now_ms)
    query = {"hours": 2, "country": country, "as_of": format_timestamp(now_ms)}
    reply = get(api, f"{STARTS}timeline/", **query)
    (header, *rows), points = table_of(reply), api.get(f"{STARTS}timeline/", query).json()
    assert header == ["hour", "starts"]
    assert rows == [[point["hour"], str(point["starts"])] for point in points["points"]]
    assert f'filename="timeline-{country}-2h-to-' in reply["Content-Disposition"]
    assert [country, "2"] in table_of(get(api, STARTS, hours=2))


def test_no_cell_is_taken_for_a_formula(api, country, now_ms):
    for player in ("@SUM(A1)".replace("(", ":").replace(")", ":"), "-2-3", "plain"):
        record_events([Event("start", player, uuid.uuid4(), now_ms, country)], now_ms=now_ms)
    players = {row[1] for row in table_of(get(api, f"{STARTS}{country}/"))}
    assert players == {"player_id", "'@SUM:A1:", "'-2-3", "plain"}


def test_an_empty_window_is_a_header(api, country):
    assert table_of(get(api, f"{STARTS}{country}/")) == [["session_id", "player_id", "ts"]]


@pytest.mark.parametrize("query", ["format=csv&hours=0", "format=xml", "format="])
def test_errors_are_problems_as_everywhere(api, country, query):
    reply = api.get(f"{STARTS}{country}/?{query}")
    assert (reply.status_code, reply["Content-Type"]) in {
        (400, "application/problem+json"),
        (406, "application/problem+json"),
    }
    assert reply.json()["status"] == reply.status_code


def test_a_store_that_fails_in_the_middle_gives_no_file(api, monkeypatch, country, now_ms):
    """The deadline of the third read is over before it begins, as in a store that has become too slow."""
    monkeypatch.setattr(starts, "STARTS_AT_A_TIME", 5)
    record_starts(country, *range(now_ms - 30, now_ms), now_ms=now_ms)
    deadlines = iter([time.monotonic() + 60] * 3)
    monkeypatch.setattr("store.cassandra.deadline_from_now", lambda: next(deadlines, time.monotonic() - 1))
    window = starts.report_window(hours=1, as_of_ms=now_ms, now_ms=now_ms)
    with pytest.raises(StoreUnavailable):
        list(starts.every_start_of_country(country=country, window=window, now_ms=now_ms))
    for _ in range(DOWNLOADS_AT_A_TIME + 1):
        reply = get(api, f"{STARTS}{country}/")
        assert (reply.status_code, reply["Content-Type"]) == (503, "application/problem+json")
        assert reply.json()["type"].endswith("store-unavailable")


def test_a_full_disk_is_named(api, monkeypatch, country):
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spreadsheets, "TemporaryFile", full)
    for _ in range(DOWNLOADS_AT_A_TIME + 1):
        reply = get(api, f"{STARTS}{country}/")
        assert (reply.status_code, reply["Retry-After"]) == (503, "60")
        assert reply.json()["type"].endswith("download-failed")


def test_slow_downloads_leave_threads_for_others(api, country):
    in_flight = [get(api, f"{STARTS}{country}/") for _ in range(DOWNLOADS_AT_A_TIME)]
    refused = get(api, f"{STARTS}{country}/")
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert refused.json()["type"].endswith("too-many-downloads")
    for reply in in_flight:
        with closing(reply):
            assert reply.getvalue()
    assert table_of(get(api, f"{STARTS}{country}/"))
