"""Players, lengths of sessions and who is playing: exact in small windows, an estimate with bounds in large ones."""

import random
import uuid
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, quantiles
from typing import Any

import pytest

from events.batched import batched
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, Event, Window
from events.services import record_events
from reports import measures as module
from reports.measures import Measures, measures
from reports.tests.test_csv import get, table_of

MEASURES = "/api/v1/reports/measures/"


def send(events: list[Event], *, now_ms: int) -> None:
    for some in batched(events, 50):
        record_events(some, now_ms=now_ms)


def truth(events: Iterable[Event], *, country: str, window: Window, now_ms: int) -> dict[str, Any]:
    """What is to be seen of a country, by the rules of the documents: a model in plain Python."""
    in_window = {
        (one.player_id, one.session_id, one.ts_ms)
        for one in events
        if (one.kind, one.country) == ("start", country) and window.from_ms < one.ts_ms <= window.to_ms
    }
    starts: dict[tuple[str, uuid.UUID], list[tuple[int, str | None]]] = defaultdict(list)
    ends: dict[tuple[str, uuid.UUID], list[int]] = defaultdict(list)
    for one in events:
        if one.kind == "start":
            starts[one.player_id, one.session_id].append((one.ts_ms, one.country))
        else:
            ends[one.player_id, one.session_id].append(one.ts_ms)
    began = {key: max(some) for key, some in starts.items()}
    sessions = {key: ts for key, (ts, of) in began.items() if of == country and (*key, ts) in in_window}
    lengths = [(max(ends[key]) - ts) / 1000 for key, ts in sessions.items() if ends[key] and max(ends[key]) >= ts]
    open_ones = [ts for key, ts in sessions.items() if not ends[key] or max(ends[key]) < ts]
    tenths = quantiles(lengths, n=10, method="inclusive")
    return {
        "starts": len({(session, ts) for _, session, ts in in_window}),
        "players": len({player for player, _, _ in in_window}),
        "open": len(open_ones) / len(sessions),
        "playing": sum(now_ms - ts < DAY_MS for ts in open_ones),
        "mean": fmean(lengths),
        "median": tenths[4],
        "p90": tenths[8],
    }


def values(found: Measures) -> dict[str, Any]:
    counts = {"starts": found.starts, "players": found.players}
    return counts | {name: getattr(found, name).value for name in ("open", "playing", "mean", "median", "p90")}


def made_up(chance: random.Random, countries: list[str], *, sessions: int, now_ms: int, hours: int) -> list[Event]:
    """Sessions as they are sent in the field: some never end, some start or end again, elsewhere, or in disorder."""
    players = [f"player_{uuid.UUID(int=chance.getrandbits(128)).hex}" for _ in range(sessions // 4)]
    events = []
    for _ in range(sessions):
        player, session = chance.choice(players), uuid.UUID(int=chance.getrandbits(128), version=4)
        started = now_ms - chance.randrange(hours * HOUR_MS)
        events.append(Event("start", player, session, started, chance.choice(countries)))
        if chance.random() < 0.1:
            again = min(started + chance.randrange(HOUR_MS), now_ms)
            events.append(Event("start", player, session, again, chance.choice(countries)))
        for _ in range(chance.choice([0, 1, 1, 1, 2])):
            ended = min(started + int(chance.lognormvariate(0, 1) * 15 * MINUTE_MS) - MINUTE_MS, now_ms)
            events.append(Event("end", player, session, ended, None))
    chance.shuffle(events)
    return events


@pytest.mark.parametrize("seed", range(3))
def test_of_few_starts_everything_is_exact(new_country, now_ms, seed):
    countries = [new_country(), new_country()]
    events = made_up(random.Random(f"{seed} {countries}"), countries, sessions=120, now_ms=now_ms, hours=50)
    send(events, now_ms=now_ms)
    for window in (Window(now_ms - 40 * HOUR_MS - 1_234, now_ms), Window(now_ms - 50 * HOUR_MS, now_ms - 7_654_321)):
        found = measures(window=window, now_ms=now_ms, country=countries[0])
        expected = truth(events, country=countries[0], window=window, now_ms=now_ms)
        assert found.is_exact
        assert values(found) == pytest.approx(expected)
        assert found.sampled == expected["starts"]
        assert found.median.low == found.median.value == found.median.high


@pytest.mark.parametrize("shards", ["1", "3"])
def test_of_many_starts_the_bounds_hold_what_is_true(monkeypatch, settings, country, now_ms, shards):
    settings.COUNTRY_SHARDS = shards
    events = made_up(random.Random(country), [country], sessions=1_500, now_ms=now_ms, hours=30)
    send(events, now_ms=now_ms)
    window = Window(now_ms - 28 * HOUR_MS, now_ms)
    expected = truth(events, country=country, window=window, now_ms=now_ms)
    for most_read in (5_000, 100):  # of all starts some are looked up; only slices of time are read
        monkeypatch.setattr(module, "MOST_READ", most_read)
        found = measures(window=window, now_ms=now_ms, country=country)
        assert found.starts == expected["starts"]
        assert found.players == (expected["players"] if most_read > 100 else None)
        assert not found.is_exact
        assert 350 < found.sampled < 700
        assert found.playing is None  # of more than a day
        day = measures(window=Window(now_ms - DAY_MS, now_ms), now_ms=now_ms, country=country)
        playing = truth(events, country=country, window=Window(now_ms - DAY_MS, now_ms), now_ms=now_ms)["playing"]
        assert abs(day.playing.value - playing) < 2.3 * (day.playing.high - day.playing.low) / 2
        for name in ("open", "mean", "median", "p90"):
            estimate = getattr(found, name)
            # Seven in a million samples would be wrong by more.
            margin = 2.3 * (estimate.high - estimate.low) / 2
            assert 0 < margin < expected[name], name
            assert abs(estimate.value - expected[name]) < margin, name


@pytest.mark.parametrize("shards", ["1", "3"])
def test_all_slices_together_hold_each_start_once(monkeypatch, settings, new_country, now_ms, shards):
    """As each slice is as likely to be drawn as any other, so is each start: also at edges, in a rush, or alone."""
    settings.COUNTRY_SHARDS = shards
    countries = [new_country(), new_country()]
    events = made_up(random.Random(f"{countries}"), countries, sessions=300, now_ms=now_ms, hours=20)
    rush_ms = now_ms - now_ms % HOUR_MS - 5 * HOUR_MS
    rush = [Event("start", f"p{number % 7}", uuid.uuid4(), rush_ms + number, countries[0]) for number in range(-60, 60)]
    send([*events, *rush], now_ms=now_ms)
    monkeypatch.setattr(module, "MOST_READ", 0)
    monkeypatch.setattr(module, "SAMPLED", 1_000_000)
    monkeypatch.setattr(module, "MOST_SLICES", 1_000_000)
    window = Window(now_ms - 15 * HOUR_MS - 1_234, now_ms - 1_234_567)
    found = measures(window=window, now_ms=now_ms, country=countries[0])
    expected = truth([*events, *rush], country=countries[0], window=window, now_ms=now_ms)
    assert found.is_exact
    assert found.sampled == expected["starts"]
    assert values(found) == pytest.approx({**expected, "players": None})


def test_nothing_is_known_of_an_empty_window(api, country):
    report = api.get(MEASURES, {"country": country}).json()
    assert (report["starts"], report["players"], report["sample"]) == (0, 0, {"starts": 0, "exact": True})
    assert {report[name] for name in ("open", "playing", "length_mean", "length_median", "length_p90")} == {None}


def test_an_open_session_is_playing_for_a_day(api, country, now_ms):
    moments = [now_ms - 25 * HOUR_MS, now_ms - 23 * HOUR_MS, now_ms - 1_000]
    send([Event("start", "p1", uuid.uuid4(), ts, country) for ts in moments], now_ms=now_ms)
    report = api.get(MEASURES, {"country": country.lower(), "hours": 48}).json()
    assert (report["open"]["value"], report["playing"]["value"]) == (1, 2)
    assert (report["players"], report["length_mean"], report["length_p90"]) == (1, None, None)


def test_a_length_is_told_to_the_millisecond(api, country, player, now_ms):
    session, started = uuid.uuid4(), now_ms - 90_000
    send([Event("start", player, session, started, country)], now_ms=now_ms)
    send([Event("end", player, session, started + 61_234, None)], now_ms=now_ms)
    report = api.get(MEASURES, {"country": country}).json()
    assert report["length_median"] == {"value": 61.234, "low": 61.234, "high": 61.234}


def test_the_same_window_has_the_same_sample(monkeypatch, country, now_ms):
    send(made_up(random.Random(country), [country], sessions=200, now_ms=now_ms, hours=5), now_ms=now_ms)
    monkeypatch.setattr(module, "SAMPLED", 50)
    window = Window(now_ms - 6 * HOUR_MS, now_ms)
    first, again = (measures(window=window, now_ms=now_ms, country=country) for _ in range(2))
    later = measures(window=Window(window.from_ms, window.to_ms + 1), now_ms=now_ms, country=country)
    assert first == again
    assert first != later  # the mean may be known to neither


def test_they_come_as_csv_too(api, country, player, now_ms):
    session = uuid.uuid4()
    send([Event("start", player, session, now_ms - 9_000, country)], now_ms=now_ms)
    send([Event("end", player, session, now_ms - 1_500, None)], now_ms=now_ms)
    reply = get(api, MEASURES, country=country)
    assert f"measures-{country}-24h-to-" in reply["Content-Disposition"]
    assert table_of(reply) == [
        ["measure", "value", "low", "high"],
        ["starts", "1", "1", "1"],
        ["players", "1", "1", "1"],
        ["open", "0.0", "0.0", "0.0"],
        ["playing", "0.0", "0.0", "0.0"],
        *([name, "7.5", "7.5", "7.5"] for name in ("length_mean", "length_median", "length_p90")),
    ]


def test_of_all_countries_together(api, new_country, now_ms):
    for country in (new_country(), new_country()):
        send([Event("start", "p1", uuid.uuid4(), now_ms - 60_000, country)], now_ms=now_ms)
    of_all = api.get(MEASURES, {"hours": 1}).json()
    assert of_all["country"] is None
    assert of_all["starts"] == api.get("/api/v1/reports/starts/", {"hours": 1, "as_of": of_all["to"]}).json()["total"]
    assert of_all["starts"] >= 2
