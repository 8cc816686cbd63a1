"""The rules, without a store."""

import uuid
from datetime import UTC, datetime

import pytest

from events import domain
from events.domain import HOUR_MS, Window


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-02T12:48:05.520022",
        "2016-12-02T12:48:05.520",
        "2016-12-02T12:48:05.52",
        "2016-12-02T12:48:05,520Z",
        "2016-12-02 12:48:05.520999999",
        "2016-12-02t12:48:05.520z",
        "2016-12-02T14:48:05.520+02:00",
        "2016-12-02T14:48:05.520+0200",
        "2016-12-02T14:48:05.520+02",
        "2016-12-02T04:18:05.520-08:30",
    ],
)
def test_timestamps_are_milliseconds_in_utc(text):
    assert domain.parse_timestamp(text) == 1_480_682_885_520


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-12-02T12:48:16", datetime(2016, 12, 2, 12, 48, 16, tzinfo=UTC)),
        ("2016-12-02T12:48", datetime(2016, 12, 2, 12, 48, tzinfo=UTC)),
        ("2024-02-29T23:59:59Z", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("1969-12-31T23:59:59.999Z", datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_timestamps_without_a_fraction_or_offset(text, moment):
    assert domain.parse_timestamp(text) == round(moment.timestamp() * 1000)
    assert domain.parse_timestamp(domain.format_timestamp(domain.parse_timestamp(text))) == domain.parse_timestamp(text)


@pytest.mark.parametrize(
    "text",
    ["", "2016-12-02", "12:48", "2016-W48-5T12:00:00", "2023-02-29T00:00:00", "2016-12-02T25:00:00",
     "2016-12-02T12:48:05.", "2016-12-02T12:48:60Z", "２016-12-02T12:48:05", "2016-12-02T12:48:05+25:00",
     "2016-12-02T12:48:05Z\n", "2016-12-02T24:00:00Z", "2016-12-02T24:00:00", "2016-12-02T12:60:00Z",
     "2016-12-02T12:48:05+24:00", "2016-12-02T12:48:05+01:60", "2016-12-02T12:48:05 UTC", "2016-12-02T12:48:05 +02:00",
     "1480682885520"],
)  # fmt: skip
def test_other_texts_are_no_timestamps(text):
    with pytest.raises(ValueError):  # noqa: PT011  # the kind is the contract
        domain.parse_timestamp(text)


def test_the_remaining_time_is_rounded_down():
    assert domain.remaining_seconds(0, retention_cutoff_ms=-1_000) == 1
    assert domain.remaining_seconds(0, retention_cutoff_ms=-999) == 0
    assert domain.remaining_seconds(0, retention_cutoff_ms=1_000) == -1


def test_a_window_across_midnight_has_the_hours_of_both_days():
    half_past_midnight = domain.parse_timestamp("2026-11-24T00:30:00Z")
    window = Window(half_past_midnight - 2 * HOUR_MS, half_past_midnight)
    assert [domain.format_timestamp(hour)[:13] for hour in window.hours()] == [
        "2026-11-23T22",
        "2026-11-23T23",
        "2026-11-24T00",
    ]


def test_a_window_covers_an_hour_only_with_both_its_ends():
    noon = domain.parse_timestamp("2026-11-24T12:00:00Z")
    assert Window(noon - 1, noon + HOUR_MS - 1).covers_hour(noon)
    assert not Window(noon, noon + HOUR_MS).covers_hour(noon)  # the moment 12:00:00.000 is outside
    assert not Window(noon - 1, noon + HOUR_MS - 2).covers_hour(noon)


def test_a_session_always_lies_in_the_same_shard():
    session = uuid.UUID("4a0c43c9-c43a-42ff-ba55-67563dfa35d4")
    assert domain.shard_of(session, 1) == 0
    assert domain.shard_of(session, 7) == domain.shard_of(uuid.UUID(session.hex), 7) < 7


def test_shards_are_set_for_all_and_for_some():
    noon = domain.parse_timestamp("2026-12-01T12:00")
    text = "1, us=4,IN=2,US=8@2026-12-01T12:00,3@2026-12-02T00:00Z,US=6@2026-11-01T00:00"

    def at(country: str, hour_ms: int) -> int:
        return domain.shards_at(domain.parse_shards(text), country, hour_ms)

    assert [domain.shards_at(domain.parse_shards(one), "FI", noon) for one in ("", "2", "2,3", "FI=5")] == [1, 2, 3, 5]
    assert [at("US", noon + hours * HOUR_MS) for hours in (-9_999, -1, 0, 12)] == [4, 6, 8, 8]
    assert [at("IN", noon), at("FI", noon), at("FI", noon + 12 * HOUR_MS)] == [2, 1, 3]
    for wrong in ("0", "x", "USA=2", "US=0", "US=65", "US=", "-1", "US=2@", "US=2@2026-12-01T12:30", "2@now"):
        with pytest.raises(ValueError):  # noqa: PT011  # the kind is the contract
            domain.parse_shards(wrong)
