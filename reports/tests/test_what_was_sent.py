"""What was sent, and what each report shows of it: the table of docs/reference/reports.md, a test for every cell.

The events of a cell come in every order; each order has players and a session of its own.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from typing import Any, NamedTuple

import pytest

from events.domain import END, START, Event, format_timestamp, parse_timestamp
from events.services import record_events
from reports import player_sessions
from reports.tests.test_player_sessions import report

STARTS = "/api/v1/reports/starts/"


class Sent(NamedTuple):
    """An event of the one session: so many seconds ago, in one of two countries, of one of two players."""

    kind: Any
    ago: int
    country: int = 0
    player: int = 0


class Row(NamedTuple):
    """A session in a player's report; moments are seconds ago. ``before``: as the report says, its end is."""

    country: int | None
    started: int | None
    ended: int | None
    seconds: float | None
    before: bool = False
    player: int = 0


class Case(NamedTuple):
    sent: list[Sent]
    completed: list[Row]
    open: list[Row]

    @property
    def all(self) -> list[Row]:
        """Every session, once."""
        return list(dict.fromkeys([*self.completed, *self.open]))


CASES = {
    "a start and its end": Case(
        [Sent(START, 90), Sent(END, 60)],
        completed=[Row(0, 90, 60, 30.0)],
        open=[],
    ),
    "one session_id by two players": Case(
        [Sent(START, 90), Sent(END, 60), Sent(START, 80, player=1), Sent(END, 70, player=1)],
        completed=[Row(0, 90, 60, 30.0), Row(0, 80, 70, 10.0, player=1)],
        open=[],
    ),
    "started by one player, ended by another": Case(
        [Sent(START, 90), Sent(END, 60, player=1)],
        completed=[Row(None, None, 60, None, player=1)],
        open=[Row(0, 90, None, None)],
    ),
    "starts in two countries": Case(
        [Sent(START, 90, country=0), Sent(START, 80, country=1), Sent(END, 60)],
        completed=[Row(1, 80, 60, 20.0)],
        open=[],
    ),
    "started twice": Case(
        [Sent(START, 90), Sent(START, 80), Sent(END, 60)],
        completed=[Row(0, 80, 60, 20.0)],
        open=[],
    ),
    "started twice, without an end": Case(
        [Sent(START, 90), Sent(START, 80)],
        completed=[],
        open=[Row(0, 80, None, None)],
    ),
    "ended twice": Case(
        [Sent(START, 90), Sent(END, 60), Sent(END, 50)],
        completed=[Row(0, 90, 50, 40.0)],
        open=[],
    ),
    "an end without a start": Case(
        [Sent(END, 60)],
        completed=[Row(None, None, 60, None)],
        open=[],
    ),
    "a start without an end": Case(
        [Sent(START, 90)],
        completed=[],
        open=[Row(0, 90, None, None)],
    ),
    "an end before the start": Case(
        [Sent(START, 60), Sent(END, 90)],
        completed=[Row(0, 60, 90, None, before=True)],
        open=[Row(0, 60, 90, None, before=True)],
    ),
    "started again after its end": Case(
        [Sent(START, 90), Sent(END, 60), Sent(START, 50)],
        completed=[Row(0, 50, 60, None, before=True)],
        open=[Row(0, 50, 60, None, before=True)],
    ),
    "started and ended again": Case(
        [Sent(START, 90), Sent(END, 60), Sent(START, 50), Sent(END, 40)],
        completed=[Row(0, 50, 40, 10.0)],
        open=[],
    ),
    "an end at the moment of the start": Case(
        [Sent(START, 60), Sent(END, 60)],
        completed=[Row(0, 60, 60, 0.0)],
        open=[],
    ),
}


class Stored:
    """The events of a case, stored in one order."""

    def __init__(self, sent: tuple[Sent, ...], countries: list[str], now_ms: int) -> None:
        self.countries, self.now_ms = countries, now_ms
        self.session, self.players = uuid.uuid4(), [uuid.uuid4().hex, uuid.uuid4().hex]
        for kind, ago, country, player in sent:
            where = countries[country] if kind == START else None
            event = Event(kind, self.players[player], self.session, now_ms - ago * 1_000, where)
            record_events([event], now_ms=now_ms)

    def rows(self, ask: Callable[[str], list[dict[str, Any]]]) -> list[Row]:
        """What ``ask`` gives for each of the players."""
        return [self._row(row, number) for number, player in enumerate(self.players) for row in ask(player)]

    def _row(self, row: dict[str, Any], player: int) -> Row:
        assert row["session_id"] == str(self.session)
        country = None if row["country"] is None else self.countries.index(row["country"])
        moments = self.ago(row["started_at"]), self.ago(row["ended_at"])
        return Row(country, *moments, row["duration_seconds"], row.get("ended_before_start", False), player)

    def ago(self, moment: str | None) -> int | None:
        return None if moment is None else (self.now_ms - parse_timestamp(moment)) // 1_000


class Orders(NamedTuple):
    """A case whose events are stored in every order, all in the same two countries."""

    case: Case
    countries: list[str]
    now_ms: int
    all: list[Stored]


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def orders(request: pytest.FixtureRequest, new_country: Callable[[], str]) -> Orders:
    """Stored once: the tests of a case only read."""
    case, countries, now_ms = request.param, [new_country(), new_country()], time.time_ns() // 1_000_000
    return Orders(case, countries, now_ms, [Stored(sent, countries, now_ms) for sent in permutations(case.sent)])


@pytest.mark.parametrize("state", ["completed", "open", "all"])
@pytest.mark.parametrize("few", [0, 100], ids=["newest ends first", "all at once"])
def test_the_report_of_a_player(api, monkeypatch, orders, state, few):
    monkeypatch.setattr(player_sessions, "FEW_SESSIONS", few)
    for stored in orders.all:
        rows = stored.rows(lambda player: report(api, player, state=state)["results"])
        assert Counter(rows) == Counter(getattr(orders.case, state))


def test_the_legacy_report_of_a_player(api, orders):
    expected = [row._replace(before=False) for row in orders.case.completed]  # its shape has no field for it
    for stored in orders.all:
        assert Counter(stored.rows(lambda player: api.get(f"/by-player/{player}").json())) == Counter(expected)


@pytest.mark.parametrize("legacy", [False, True], ids=["starts of a country", "by-country"])
def test_the_starts_of_a_country(api, orders, legacy):
    """Every start is counted and listed, whatever session it is of."""
    for number, country in enumerate(orders.countries):
        expected = Counter(
            (str(stored.session), stored.players[one.player], format_timestamp(orders.now_ms - one.ago * 1_000))
            for stored in orders.all
            for one in orders.case.sent
            if one.kind == START and one.country == number
        )
        if legacy:
            rows = api.get(f"/by-country/{country}/1").json()
        else:
            page = api.get(f"{STARTS}{country}/?hours=1&limit=1000").json()
            rows = page["results"]
            assert page["starts"] == expected.total()
        assert Counter((row["session_id"], row["player_id"], row["ts"]) for row in rows) == expected


def test_the_starts_of_all_countries_and_per_hour(api, orders):
    countries = orders.countries
    counted = Counter(countries[one.country] for one in orders.case.sent if one.kind == START)
    listed = api.get(f"{STARTS}?hours=1&sessions=0").json()["countries"]
    shown = {one["country"]: one["starts"] for one in listed if one["country"] in countries}
    assert shown == {country: number * len(orders.all) for country, number in counted.items()}
    for country in countries:
        total = api.get(f"{STARTS}timeline/?hours=1&country={country}").json()["total"]
        assert total == counted[country] * len(orders.all)
