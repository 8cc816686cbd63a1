"""The start sessions of the last hours: all countries, one country, the timeline."""

import time
import uuid
from collections import Counter
from urllib.parse import parse_qs, urlsplit

import pytest

from events.counting import hours as counting
from events.counting import minutes
from events.domain import DAY_MS, HOUR_MS, Event, Window, day_of, format_timestamp, hour_of, parse_timestamp
from events.services import record_events
from events.tests.clocks import long_ago_ms
from reports.starts import report_window, starts_by_country, starts_of_country
from store import cassandra
from store.errors import StoreUnavailable
from tests.truth import starts_by_hour

STARTS = "/api/v1/reports/starts/"


def record_starts(country: str, *moments: int, now_ms: int, session: uuid.UUID | None = None) -> list[Event]:
    events = [Event("start", f"p{uuid.uuid4().hex[:8]}", session or uuid.uuid4(), ts, country) for ts in moments]
    for first in range(0, len(events), 10):
        record_events(events[first : first + 10], now_ms=now_ms)
    return events


def of_country(report: dict, country: str) -> dict:
    return next(one for one in report["countries"] if one["country"] == country)


def test_each_country_has_its_number_of_starts_and_its_newest_sessions(api, country, now_ms):
    newer, older = now_ms - 60_000, now_ms - 120_000
    events = record_starts(country, older, newer, now_ms=now_ms)
    report = api.get(STARTS, {"hours": 1}).json()
    found = of_country(report, country)
    assert found["starts"] == 2
    assert [session["ts"] for session in found["sessions"]] == [format_timestamp(newer), format_timestamp(older)]
    assert found["sessions"][1]["player_id"] == events[0].player_id
    assert report["total"] == sum(one["starts"] for one in report["countries"])
    assert [one["starts"] for one in report["countries"]] == sorted(
        (one["starts"] for one in report["countries"]), reverse=True
    )
    assert api.get(found["url"]).json()["starts"] == 2


def test_the_number_of_sessions_can_be_chosen(api, country, now_ms):
    record_starts(country, *range(now_ms - 30_000, now_ms, 1_000), now_ms=now_ms)
    for number in (0, 1, 25, 100):
        found = of_country(api.get(STARTS, {"hours": 1, "sessions": number}).json(), country)
        assert (len(found["sessions"]), found["starts"]) == (min(number, 30), 30)


def test_two_starts_in_one_millisecond_are_two(api, country, now_ms):
    record_starts(country, now_ms, now_ms, now_ms=now_ms)
    assert api.get(f"{STARTS}{country}/", {"hours": 1}).json()["starts"] == 2


def test_the_window_begins_behind_its_first_moment_and_ends_with_its_last(country, now_ms):
    as_of = hour_of(now_ms) - 3 * HOUR_MS + 1_234
    moments = [as_of - 2 * HOUR_MS, as_of - 2 * HOUR_MS + 1, as_of, as_of + 1]
    record_starts(country, *moments, now_ms=now_ms)
    window = report_window(hours=2, as_of_ms=as_of, now_ms=now_ms)
    starts, page, _ = starts_of_country(country=country, window=window, now_ms=now_ms, limit=10)
    assert starts == 2
    assert [start.ts_ms for start in page] == [as_of, as_of - 2 * HOUR_MS + 1]


@pytest.mark.parametrize("minute", ["00:30:00.000", "00:00:00.000", "23:59:59.999", "01:00:00.000", "00:00:00.001"])
@pytest.mark.parametrize("hours", [1, 2, 24, 49])
def test_a_window_holds_its_starts_wherever_its_edges_lie(country, now_ms, minute, hours):
    yesterday = format_timestamp(now_ms - 48 * HOUR_MS)[:10]
    as_of = parse_timestamp(f"{yesterday}T{minute}Z")
    moments = range(as_of - 60 * HOUR_MS, as_of + HOUR_MS, HOUR_MS // 4)
    record_starts(country, *moments, now_ms=now_ms)
    window = report_window(hours=hours, as_of_ms=as_of, now_ms=now_ms)
    for _ in range(2):  # the second time from stored counts
        starts, _, _ = starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)
        assert starts == hours * 4
        per_hour = starts_by_hour(window=window, now_ms=now_ms, country=country)
        expected = Counter(hour_of(ts) for ts in moments if window.from_ms < ts <= window.to_ms)
        assert {hour: number for hour, number in per_hour if number} == dict(expected)
        all_countries = starts_by_country(window=window, now_ms=now_ms, newest=0)
        assert next(one.starts for one in all_countries if one.country == country) == hours * 4


@pytest.mark.parametrize("shards", ["1", "3"])
def test_a_walk_over_the_pages_shows_every_row_once_while_new_ones_arrive(api, settings, country, now_ms, shards):
    settings.COUNTRY_SHARDS = shards
    same = [now_ms - 5_000] * 23  # pages end inside one millisecond
    record_starts(country, *same, *range(now_ms - 9_000_000, now_ms - 10_000, 400_000), now_ms=now_ms)
    versions = [
        uuid.uuid1(),
        uuid.uuid3(uuid.NAMESPACE_DNS, "a"),
        uuid.uuid5(uuid.NAMESPACE_DNS, "a"),
        uuid.UUID(int=1),
    ]
    versions += [uuid.uuid1(), uuid.UUID(int=(1 << 128) - 1), uuid.UUID("00000000-0000-1000-8000-000000000000")]
    for session in versions:
        record_starts(country, same[0], now_ms=now_ms, session=session)
    seen: list[str] = []
    url: str | None = f"{STARTS}{country}/?hours=24&limit=7"
    while url:
        page = api.get(url).json()
        seen += [row["session_id"] for row in page["results"]]
        url = page["next"]
        record_starts(country, time.time_ns() // 1_000_000, now_ms=now_ms)
    assert len(seen) == len(set(seen)) == 23 + 23 + 7
    stamps = api.get(f"{STARTS}{country}/?hours=24&limit=1000").json()["results"]
    assert [row["ts"] for row in stamps] == sorted((row["ts"] for row in stamps), reverse=True)


def test_a_forged_cursor_is_refused(api, country):
    for forged in ("x", "WzEsMl0:1abc:def", "a" * 3_000):
        reply = api.get(f"{STARTS}{country}/", {"cursor": forged})
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "query",
    [
        {"hours": 0},
        {"hours": 8785},
        {"hours": "many"},
        {"hours": 1.5},
        {"hours": "1" * 2_000},
        {"as_of": "2999-01-01T00:00:00Z"},
        {"as_of": "now"},
        {"sessions": 101},
        {"sessions": -1},
    ],
)
def test_a_wrong_question_is_refused(api, query):
    reply = api.get(STARTS, query)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"] == f"/{next(iter(query))}"


@pytest.mark.parametrize("as_of", ["0001-01-01T01:00:00Z", "0001-01-01T00:00:00+05:00"])
@pytest.mark.parametrize("path", [STARTS, f"{STARTS}timeline/", f"{STARTS}FI/"])
def test_a_window_that_begins_before_the_year_1_is_empty(api, path, as_of):
    report = api.get(path, {"as_of": as_of, "hours": 24}).json()
    assert report["from"] == "0001-01-01T00:00:00.000Z"
    assert 0 in (report.get("total"), report.get("starts"))


def test_a_wrong_country_is_refused(api):
    for path in (f"{STARTS}FIN/", f"{STARTS}timeline/?country=1x", "/by-country/x/3"):
        assert api.get(path).json()["errors"][0]["pointer"] == "/country"


def test_as_of_makes_a_report_repeatable(api, country, now_ms):
    record_starts(country, now_ms - 1_000, now_ms=now_ms)
    query = {"hours": 5, "as_of": format_timestamp(now_ms)}
    before = of_country(api.get(STARTS, query).json(), country)
    record_starts(country, now_ms + 10, now_ms=now_ms)
    assert of_country(api.get(STARTS, query).json(), country) == before


def test_the_timeline_has_every_hour(api, country, now_ms):
    record_starts(country, now_ms - 2 * HOUR_MS, now_ms, now_ms=now_ms)
    report = api.get(f"{STARTS}timeline/", {"hours": 3, "country": country.lower()}).json()
    assert (report["total"], report["country"], len(report["points"])) == (2, country, 4)
    assert sum(point["starts"] for point in report["points"]) == 2


@pytest.mark.parametrize("query", [{"hours": 8784}, {"hours": 3, "as_of": "2016-12-02T12:30:00Z"}])
def test_the_timeline_has_every_hour_of_its_window_also_those_before_the_retention(api, country, now_ms, query):
    record_starts(country, now_ms, now_ms=now_ms)
    report = api.get(f"{STARTS}timeline/", {"country": country, **query}).json()
    hours = [parse_timestamp(point["hour"]) for point in report["points"]]
    window = Window(parse_timestamp(report["from"]), parse_timestamp(report["to"]))
    assert hours == list(window.hours())
    assert report["total"] == sum(point["starts"] for point in report["points"]) == ("as_of" not in query)


def test_a_cursor_leads_to_nothing_behind_the_end_of_another_window(api, country, now_ms):
    record_starts(country, *range(now_ms - 10_000, now_ms, 1_000), now_ms=now_ms)
    page = api.get(f"{STARTS}{country}/", {"limit": 2, "as_of": format_timestamp(now_ms)}).json()
    cursor = parse_qs(urlsplit(page["next"]).query)["cursor"][0]
    query = {"cursor": cursor, "as_of": format_timestamp(now_ms - 5_000)}
    rows = api.get(f"{STARTS}{country}/", query).json()["results"]
    assert [row["ts"] for row in rows] == [format_timestamp(now_ms - number * 1_000) for number in range(5, 11)]


def test_an_empty_country_is_an_empty_report(api, country):
    report = api.get(f"{STARTS}{country}/").json()
    assert (report["starts"], report["next"], report["results"]) == (0, None, [])


def test_the_legacy_address_gives_a_bare_array(api, country, now_ms):
    [event] = record_starts(country, now_ms, now_ms=now_ms)
    reply = api.get(f"/by-country/{country.lower()}/1")
    assert reply.json() == [
        {
            "event": "start",
            "country": country,
            "session_id": str(event.session_id),
            "player_id": event.player_id,
            "ts": format_timestamp(now_ms),
        }
    ]
    assert "Link" not in reply
    assert api.get(f"/by-country/{country}/0").status_code == 400


def test_the_legacy_address_links_to_the_rest(api, monkeypatch, country, now_ms):
    monkeypatch.setattr("reports.views.LEGACY_LIMIT", 3)
    record_starts(country, *range(now_ms - 5, now_ms), now_ms=now_ms)
    reply = api.get(f"/by-country/{country}/1")
    assert len(reply.json()) == 3
    rest = api.get(reply["Link"].split(">")[0].removeprefix("<")).json()
    assert len(rest["results"]) == 2


@pytest.mark.parametrize(("worth_a_statement", "in_the_end"), [(-1, 6), (minutes.STARTS_PER_STATEMENT, 4)])
@pytest.mark.parametrize("of_all", [True, False])
def test_an_hour_that_is_over_is_counted_once_and_again_when_written_to(
    country, monkeypatch, of_all, worth_a_statement, in_the_end
):
    """Seen by rows that somebody else deletes: a count does not miss them until it is taken again."""
    monkeypatch.setattr(minutes, "STARTS_PER_STATEMENT", worth_a_statement)
    # Days that no service counts: it would take its own counts again.
    now_ms = long_ago_ms()
    day = day_of(now_ms) - (320 + of_all) * DAY_MS
    hour = day + 5 * HOUR_MS
    window = Window(hour + 1, day + DAY_MS - 1) if not of_all else Window(day - 1, day + DAY_MS - 1)

    def reported() -> int:
        at_ms, asked = long_ago_ms(), None if of_all else country
        deadline = cassandra.deadline_from_now()
        counts = counting.count_starts(window=window, now_ms=at_ms, country=asked, deadline=deadline)
        return sum(counts.starts.get(country, []))

    # The day is counted before, so that what comes is counted by the minute, and its minutes are stored.
    counting.bring_up_to_date([day], now_ms=now_ms)
    moments = [hour + minute * 60_000 + 500 for minute in (1, 1, 2, 2, 3)]
    record_starts(country, *moments, now_ms=now_ms)
    counting.bring_up_to_date([day], now_ms=now_ms)
    assert reported() == 5
    cassandra.execute(
        "DELETE FROM {keyspace}.session_by_country USING TIMESTAMP ? WHERE country = ? AND hour = ? AND shard = 0",
        ((hour + 61_000) * 1_000, country, hour),
    )
    assert reported() == 5  # from the stored count
    record_starts(country, hour + 2 * 60_000 + 501, now_ms=long_ago_ms())
    # Its minute is counted again, or the whole hour where that is as cheap.
    assert reported() == in_the_end


def test_more_shards_later_lose_nothing(settings, country, now_ms):
    window = report_window(hours=3, as_of_ms=now_ms, now_ms=now_ms)
    for shards in ("1", "8", "2"):
        settings.COUNTRY_SHARDS = shards
        record_starts(country, *range(now_ms - 5_000_000, now_ms, 500_000), now_ms=now_ms)
    starts, page, _ = starts_of_country(country=country, window=window, now_ms=now_ms, limit=100)
    assert starts == len(page) == 30


def test_a_report_of_the_present_hour_finds_a_store_that_is_back(country, now_ms):
    record_starts(country, now_ms - 1_000, now_ms=now_ms)
    cassandra._reads.failed(asked_at=time.monotonic() + 60)
    assert cassandra._reads.is_open
    window = report_window(hours=1, as_of_ms=now_ms, now_ms=now_ms)
    while True:  # one may try in a second, and it is used
        try:
            starts, _, _ = starts_of_country(country=country, window=window, now_ms=now_ms, limit=1)
            break
        except StoreUnavailable:
            assert time.time_ns() // 1_000_000 < now_ms + 5_000
            time.sleep(0.1)
    assert starts == 1
    assert not cassandra._reads.is_open


def test_days_that_were_counted_before_the_time_was_over_are_stored(country, monkeypatch):
    monkeypatch.setattr(counting, "HOURS_PER_ROUND", 1)
    # Days that no other test asks for, and no service counts; their markers are older than what a position looks at.
    now_ms = long_ago_ms()
    days = range(day_of(now_ms) - 310 * DAY_MS, day_of(now_ms) - 305 * DAY_MS, DAY_MS)
    record_starts(country, *(day + HOUR_MS for day in days), now_ms=now_ms - 600_000)
    execute_many, in_time = cassandra.execute_many, 3
    asked = 0

    def noted(statements, **options):
        nonlocal asked
        statements = list(statements)
        asked += sum(cql == counting.COUNT_STARTS for cql, _ in statements)
        if asked > in_time:
            raise StoreUnavailable("Reading took too long.")
        return execute_many(statements, **options)

    def report():
        window = Window(days[0] - 1, days[-1] + DAY_MS - 1)
        return counting.count_starts(window=window, now_ms=now_ms, deadline=cassandra.deadline_from_now())

    with monkeypatch.context() as patched:
        patched.setattr(cassandra, "execute_many", noted)
        with pytest.raises(StoreUnavailable):
            report()
    give_up_at = time.monotonic() + 10
    while sum(is_stored(day) for day in days) < in_time:
        assert time.monotonic() < give_up_at
    asked, in_time = 0, 2
    monkeypatch.setattr(cassandra, "execute_many", noted)
    assert sum(report().starts[country]) == 5
    assert asked == 2


def is_stored(day_ms: int) -> bool:
    query = "SELECT DISTINCT day_hours FROM {keyspace}.start_count WHERE day = ?"
    return [text is not None for (text,) in cassandra.execute(query, (day_ms,))] == [True]


def test_the_moment_of_a_clock_that_is_ahead_is_taken(api, now_ms):
    """A link of one machine is followed on another."""
    ahead = {seconds: format_timestamp(now_ms + seconds * 1_000) for seconds in (30, 90)}
    assert api.get(STARTS, {"as_of": ahead[30]}).json()["to"] == ahead[30]
    assert api.get(STARTS, {"as_of": ahead[90]}).json()["errors"][0]["code"] == "in_the_future"


def test_events_that_are_sent_again_after_a_change_of_shards_are_there_once(settings, country, now_ms):
    sessions = [Event("start", "p", uuid.uuid4(), now_ms - number * 900_000, country) for number in range(10)]
    record_events(sessions, now_ms=now_ms)
    settings.COUNTRY_SHARDS = f"1,{country}=8@{format_timestamp(hour_of(now_ms) + HOUR_MS)}"
    record_events(sessions, now_ms=now_ms)
    window = report_window(hours=4, as_of_ms=now_ms, now_ms=now_ms)
    starts, page, _ = starts_of_country(country=country, window=window, now_ms=now_ms, limit=100)
    assert starts == len(page) == 10


def test_sessions_are_shown_from_far_back_when_few(country, now_ms):
    moments = [now_ms - days * 24 * HOUR_MS for days in range(12)]
    record_starts(country, *moments, now_ms=now_ms)
    window = report_window(hours=720, as_of_ms=now_ms, now_ms=now_ms)
    report = starts_by_country(window=window, now_ms=now_ms, newest=10)
    found = next(one for one in report if one.country == country)
    assert [start.ts_ms for start in found.newest] == moments[:10]
    assert found.starts == 12


def test_the_newest_sessions_of_many_countries_are_each_countrys_own(settings, new_country, now_ms):
    settings.COUNTRY_SHARDS = "2"
    moments = {
        new_country(): [now_ms - number * step * HOUR_MS - 60_000 for number in range(12)]
        for step in (0, 0, 1, 2, 5, 9, 20, 30, 50)
    }
    for country, some in moments.items():
        record_starts(country, *some, now_ms=now_ms)
    window = report_window(hours=720, as_of_ms=now_ms, now_ms=now_ms)
    for newest in (1, 5, 100):
        report = {one.country: one for one in starts_by_country(window=window, now_ms=now_ms, newest=newest)}
        for country, some in moments.items():
            expected = sorted((ts for ts in some if ts > window.from_ms), reverse=True)
            assert [start.ts_ms for start in report[country].newest] == expected[:newest]
            assert report[country].starts == len(expected)
