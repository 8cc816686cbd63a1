"""Starts by the minute, hour, day and week, in a zone, and compared with what was before."""

import json
import uuid
from bisect import bisect_right
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from events.domain import (
    DAY_MS,
    EARLIEST_MS,
    HOUR_MS,
    MINUTE_MS,
    Window,
    day_of,
    format_timestamp,
    hour_of,
    parse_timestamp,
)
from reports.intervals import earlier, part_begins, zone_names
from reports.starts import starts_by_part
from reports.tests.test_csv import get, table_of
from reports.tests.test_starts import STARTS, record_starts
from store import cassandra
from tests.truth import starts_by_hour

TIMELINE = f"{STARTS}timeline/"
# Offsets of whole hours, halves and quarters; midnights that a clock skips; both halves of the earth.
ZONES = [
    "UTC",
    "Europe/Helsinki",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Australia/Lord_Howe",
]


def moment(text: str) -> int:
    return parse_timestamp(text)


# --- Into which parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "zone", "expected"),
    [
        ("hour", "Asia/Kolkata", ["2026-03-27T22:00", "2026-03-27T23:00", "2026-03-28T00:00", "2026-03-28T01:00"]),
        ("day", "UTC", ["2026-03-27T00:00", "2026-03-28T00:00", "2026-03-29T00:00"]),
        ("day", "Asia/Kolkata", ["2026-03-27T18:30", "2026-03-28T18:30"]),
        ("day", "America/New_York", ["2026-03-27T04:00", "2026-03-28T04:00"]),
        ("week", "UTC", ["2026-03-23T00:00", "2026-03-30T00:00"]),
        ("week", "Europe/Helsinki", ["2026-03-22T22:00", "2026-03-29T21:00"]),  # an hour shorter: clocks went on
    ],
)
def test_parts_begin_where_their_zone_says(interval, zone, expected):
    begins = part_begins(interval, from_ms=moment("2026-03-27T22:30"), to_ms=moment("2026-03-28T00:15"), zone=zone)
    assert [format_timestamp(begin)[:16] for begin in begins] == expected


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Helsinki", "2026-03-29", 23),
        ("Europe/Helsinki", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Africa/Cairo", "2026-04-24", 23),  # has no midnight
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_a_day_on_which_clocks_change_has_its_own_length(zone, day, hours):
    noon = moment(f"{day}T12:00") - int(
        datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone)).utcoffset() / timedelta(milliseconds=1)
    )
    begin, end = part_begins("day", from_ms=noon, to_ms=noon, zone=zone)
    assert (end - begin) / HOUR_MS == hours


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["minute", "hour", "day", "week"]),
    st.sampled_from(ZONES),
    st.integers(EARLIEST_MS, moment("2027-12-31T00:00")),
    st.integers(1, 24 * 40),
)
def test_parts_touch_and_hold_the_whole_window(interval, zone, to_ms, hours):
    hours = min(hours, 24) if interval == "minute" else hours
    from_ms = max(to_ms - hours * HOUR_MS, EARLIEST_MS)
    begins = part_begins(interval, from_ms=from_ms, to_ms=to_ms, zone=zone)
    assert begins == sorted(set(begins))
    assert begins[0] <= from_ms < begins[1]
    assert begins[-2] <= to_ms < begins[-1]
    assert all(begin % MINUTE_MS == 0 for begin in begins)
    assert all(map(format_timestamp, begins[:-1]))
    for compare in ("previous", "week"):
        before = earlier([from_ms, to_ms, *begins[:-1]], interval=interval, hours=hours, compare=compare, zone=zone)
        assert before[2:] == sorted(before[2:])
        assert all(map(format_timestamp, before))


def test_a_week_before_is_the_same_weekday_also_when_clocks_changed_between():
    begins = part_begins(
        "day", from_ms=moment("2026-03-29T22:00"), to_ms=moment("2026-03-31T12:00"), zone="Europe/Helsinki"
    )
    before = earlier(begins, interval="day", hours=24, compare="week", zone="Europe/Helsinki")
    assert [format_timestamp(one)[:16] for one in before] == [
        "2026-03-22T22:00",
        "2026-03-23T22:00",
        "2026-03-24T22:00",
    ]


# --- How many in each -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
@pytest.mark.parametrize(("interval", "hours"), [("minute", 3), ("hour", 30), ("day", 75), ("week", 200)])
def test_each_part_has_its_starts_wherever_the_window_is_cut(country, now_ms, interval, hours, zone):
    to_ms = hour_of(now_ms) - 47 * HOUR_MS + 17 * MINUTE_MS + 1_234
    from_ms = to_ms - hours * HOUR_MS
    begins = part_begins(interval, from_ms=from_ms, to_ms=to_ms, zone=zone)
    edges = [moment for begin in begins[:40] for moment in (begin - 1, begin)]
    step = max(hours * HOUR_MS // 40, 1)
    moments = [*edges, from_ms, from_ms + 1, to_ms, to_ms + 1, *range(from_ms - 5 * step, to_ms + 5 * step, step)]
    record_starts(country, *moments, now_ms=now_ms)
    inside = [one for one in moments if from_ms < one <= to_ms]
    expected = Counter(bisect_right(begins, one) - 1 for one in inside)
    for asked in (country, country, None):  # the second time from stored counts
        counted = starts_by_part(window=Window(from_ms, to_ms), begins=begins, now_ms=now_ms, country=asked).starts
        if asked:
            assert {index: number for index, number in enumerate(counted) if number} == dict(expected)
        assert sum(counted) >= len(inside)
    record_starts(country, to_ms - 5, from_ms + 5, now_ms=now_ms)  # late
    again = starts_by_part(window=Window(from_ms, to_ms), begins=begins, now_ms=now_ms, country=country).starts
    expected.update([bisect_right(begins, to_ms - 5) - 1, bisect_right(begins, from_ms + 5) - 1])
    assert {index: number for index, number in enumerate(again) if number} == dict(expected)


def test_minutes_that_do_not_add_up_to_their_day_are_counted_again(country, now_ms):
    """What they lack may wait among other late starts, and the report would not say so."""
    hour_ms = hour_of(now_ms) - 40 * HOUR_MS
    record_starts(country, hour_ms, hour_ms + 5 * MINUTE_MS, now_ms=now_ms)
    days = Window(day_of(hour_ms) - 1, hour_of(now_ms) - 1)
    window = Window(hour_ms - 1, hour_ms + HOUR_MS - 1)
    begins = part_begins("minute", from_ms=hour_ms, to_ms=window.to_ms, zone="UTC")

    def counted() -> list[int]:
        starts_by_hour(window=days, now_ms=now_ms, country=None)
        return starts_by_part(window=window, begins=begins, now_ms=now_ms, country=country).starts

    expected = [1, 0, 0, 0, 0, 1, *[0] * 54]
    assert counted() == counted() == expected
    where = "WHERE day = ? AND hour = ? AND country = ?"
    key = (day_of(hour_ms), hour_ms, country)
    [(text,)] = cassandra.execute(f"SELECT minutes FROM {{keyspace}}.start_count {where}", key)
    *position, minutes = json.loads(text)
    assert minutes == expected
    fewer = json.dumps([*position, [0, *minutes[1:]]])
    cassandra.execute(f"UPDATE {{keyspace}}.start_count SET minutes = ? {where}", (fewer, *key))
    assert counted() == expected


def test_the_present_hour_has_its_minutes(api, country, now_ms):
    moments = [now_ms - 1, now_ms - 61_000, now_ms - 3 * MINUTE_MS, now_ms - 50 * MINUTE_MS]
    record_starts(country, *moments, now_ms=now_ms)
    asked = {"hours": 1, "interval": "minute", "country": country, "as_of": format_timestamp(now_ms)}
    for _ in range(2):
        report = api.get(TIMELINE, asked).json()
        found = {point["begin"]: point["starts"] for point in report["points"] if point["starts"]}
        assert found == Counter(format_timestamp(one - one % MINUTE_MS) for one in moments)
        assert (report["total"], len(report["points"])) == (4, 61)
        assert [point["complete"] for point in report["points"]] == [False, *[True] * 59, False]


def test_hours_are_as_they_were(api, country, now_ms):
    record_starts(country, now_ms - 5_000, now_ms=now_ms)
    plain = api.get(TIMELINE, {"hours": 2, "country": country}).json()
    assert (plain["interval"], plain["tz"], plain["compare"]) == ("hour", "UTC", None)
    assert all(point["hour"] == point["begin"] for point in plain["points"])
    assert all("before" not in point for point in plain["points"])
    days = api.get(TIMELINE, {"hours": 2, "country": country, "interval": "day"}).json()
    assert "hour" not in days["points"][0]
    assert days["total"] == plain["total"] == 1


def test_both_windows_and_the_change_are_told(api, country, now_ms):
    to_ms = hour_of(now_ms) - 30 * HOUR_MS + 100_000
    record_starts(country, to_ms - HOUR_MS, to_ms - 2 * HOUR_MS, to_ms - 3 * HOUR_MS, now_ms=now_ms)
    record_starts(country, to_ms - 24 * HOUR_MS, to_ms - 25 * HOUR_MS, now_ms=now_ms)
    record_starts(country, *[to_ms - 7 * DAY_MS - HOUR_MS] * 4, now_ms=now_ms)
    asked = {"hours": 24, "country": country, "as_of": format_timestamp(to_ms)}
    report = api.get(TIMELINE, {**asked, "compare": "previous"}).json()
    before = {point["hour"]: point["before"] for point in report["points"] if point["before"]}
    assert before == {format_timestamp(hour_of(to_ms)): 1, format_timestamp(hour_of(to_ms) - HOUR_MS): 1}
    assert report["compare"] == {
        "from": format_timestamp(to_ms - 48 * HOUR_MS),
        "to": format_timestamp(to_ms - 24 * HOUR_MS),
        "total": 2,
        "change": 0.5,
        "complete": True,
    }
    week = api.get(TIMELINE, {**asked, "compare": "week"}).json()
    assert {point["hour"]: point["before"] for point in week["points"] if point["before"]} == {
        format_timestamp(hour_of(to_ms) - HOUR_MS): 4
    }
    assert (week["compare"]["total"], week["compare"]["change"]) == (4, -0.25)
    header, *rows = table_of(get(api, TIMELINE, **asked, compare="week"))
    assert header == ["hour", "starts", "before"]
    assert [(row[0], int(row[1]), int(row[2])) for row in rows] == [
        (point["hour"], point["starts"], point["before"]) for point in week["points"]
    ]


@pytest.mark.parametrize(
    ("interval", "hours", "zone"), [("minute", 2, "UTC"), ("hour", 30, "UTC"), ("day", 75, "Asia/Kathmandu")]
)
def test_the_largest_countries_have_their_own_numbers(api, new_country, now_ms, interval, hours, zone):
    to_ms = hour_of(now_ms) - 60 * HOUR_MS + 17 * MINUTE_MS
    large, small, smallest = (new_country() for _ in range(3))
    step = hours * HOUR_MS // 7
    for country, number in ((small, 2), (large, 6), (smallest, 1)):
        record_starts(country, *(to_ms - turn * step for turn in range(number)), now_ms=now_ms)
    asked = {"hours": hours, "interval": interval, "tz": zone, "as_of": format_timestamp(to_ms)}
    every = api.get(TIMELINE, {**asked, "countries": 676}).json()
    found = {one["country"]: one["starts"] for one in every["countries"]}
    assert [sum(starts) for starts in found.values()] == sorted(map(sum, found.values()), reverse=True)
    for country in (large, small, smallest):
        alone = api.get(TIMELINE, {**asked, "country": country}).json()
        assert found[country] == [point["starts"] for point in alone["points"]]
    assert [*map(sum, zip(*found.values(), strict=True))] == [point["starts"] for point in every["points"]]
    first = api.get(TIMELINE, {**asked, "countries": 1}).json()
    assert first["countries"] == every["countries"][:1]
    assert api.get(TIMELINE, asked).json()["countries"] == []
    header, *rows = table_of(get(api, TIMELINE, **asked, countries=1))
    assert header == [interval, "starts", first["countries"][0]["country"]]
    assert [int(row[2]) for row in rows] == first["countries"][0]["starts"]


def test_nothing_has_no_change_and_what_has_expired_is_said(api, country):
    report = api.get(TIMELINE, {"hours": 8784, "interval": "week", "compare": "previous", "country": country}).json()
    assert (report["compare"]["change"], report["compare"]["complete"]) == (None, False)
    assert {point["before"] for point in report["points"]} == {0}


def test_the_file_of_days_is_named_after_them(api, country):
    reply = get(api, TIMELINE, hours=48, interval="day", tz="Asia/Kolkata", country=country)
    assert table_of(reply)[0] == ["day", "starts"]
    assert f"timeline-{country}-days-48h" in reply["Content-Disposition"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"interval": "year"}, "invalid_choice"),
        ({"interval": "minute", "hours": 25}, "too_many_points"),
        ({"tz": "Helsinki"}, "unknown_zone"),
        ({"tz": "../../etc/passwd"}, "unknown_zone"),
        ({"tz": "\0"}, "unknown_zone"),
        ({"tz": ""}, "blank"),
        ({"compare": "year"}, "invalid_choice"),
        ({"countries": 677}, "max_value"),
        ({"countries": 300, "hours": 720}, "too_many_points"),
    ],
)
def test_what_nobody_can_tell_is_refused(api, query, code):
    reply = api.get(TIMELINE, query)
    assert reply.status_code == 400
    [error] = reply.json()["errors"]
    assert (error["pointer"], error["code"]) == (f"/{next(iter(query))}", code)


def test_any_moment_can_be_asked_for(api):
    for as_of in ("0001-01-01T00:00:00Z", "0001-01-09T00:00:00Z", "1969-12-31T23:00:00Z", "1970-01-02T00:00:00Z"):
        for interval in ("minute", "day", "week"):
            asked = {"as_of": as_of, "interval": interval, "tz": "Pacific/Kiritimati", "compare": "week", "hours": 24}
            assert api.get(TIMELINE, asked).json()["total"] == 0


def test_the_zones_are_those_of_iana():
    assert {"UTC", *ZONES} <= zone_names()
    assert uuid.uuid4().hex not in zone_names()
