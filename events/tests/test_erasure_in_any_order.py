"""Events, repetitions, late ones and erasures in any order leave what a model in plain Python has: rows and reports."""

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, product
from string import ascii_uppercase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from events import erased_players
from events.batched import batched
from events.domain import DAY_MS, HOUR_MS, SECOND_MS, Event, Window, hour_of
from events.services import record_events
from events.upkeep import erasing, walk
from events.upkeep.audit import Audit, State
from events.upkeep.erasing import DONE, ErasurePass, erase_known, erasure_of, pending_erasures, request_erasure
from reports.player_sessions import ALL, player_sessions
from reports.starts import starts_by_country, starts_of_country
from store import cassandra
from tests.truth import starts_by_hour

EXAMPLES = 15
# Of a history: hours of two days, most of which are counted when an event comes late into them, and the last seconds.
MOMENTS = [*(2 * DAY_MS - number * HOUR_MS for number in range(8)), 2 * SECOND_MS, SECOND_MS]
PLAYERS, SESSIONS = 2, 2
EVERYTHING = None

EVENTS = st.tuples(
    st.sampled_from(["start", "end"]),
    st.integers(0, PLAYERS - 1),
    st.integers(0, SESSIONS - 1),
    st.sampled_from(MOMENTS),
)
SENT = st.tuples(st.just("send"), st.lists(EVENTS, min_size=4, max_size=10))
ERASED = st.tuples(st.just("erase"), st.integers(0, PLAYERS - 1), st.sampled_from([*MOMENTS, EVERYTHING]))
STEPS = st.one_of(
    SENT,
    st.tuples(st.just("send again"), st.randoms(use_true_random=False)),
    ERASED,
    st.tuples(st.just("look")),
    st.tuples(st.just("finish"), st.sampled_from(["a pass", "an audit"])),
)
# Nobody else is in this keyspace, and each history has two of its own. While one that failed is made shorter, some are
# used again.
_countries = map("".join, cycle(product(ascii_uppercase, repeat=2)))


@pytest.fixture(autouse=True)
def _quickly(own_keyspace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is in flight when a call has ended."""
    monkeypatch.setattr(erasing, "DUE_AFTER_MS", 0)
    monkeypatch.setattr(walk, "RANGES", 1)
    yield
    erased_players.forget()


class History:
    """What was sent of two players, until when they were erased, and the service that must agree."""

    def __init__(self) -> None:
        self.run, self.countries = uuid.uuid4().hex, [next(_countries), next(_countries)]
        self.now_ms = time.time_ns() // 1_000_000
        self.sent: set[Event] = set()
        self.until: dict[str, int] = {}
        self.gone: set[Event] = set()  # verified to be in no table

    def player(self, number: int) -> str:
        return f"{self.run}.{number}"

    def event(self, kind: str, player: int, session: int, age_ms: int) -> Event:
        """The country follows from the session and the moment: of two at once no row could have both."""
        country = self.countries[(session + age_ms // HOUR_MS) % 2] if kind == "start" else None
        session_id = uuid.uuid5(uuid.UUID(self.run), f"{player} {session}")
        return Event(kind, self.player(player), session_id, self.now_ms - age_ms, country)

    def do(self, step: str, *values: Any) -> None:
        if step == "send":
            events = [self.event(*one) for one in values[0]]
            self.sent.update(events)
            record_events(events, now_ms=time.time_ns() // 1_000_000)
        elif step == "send again":
            self._send_again(*values)
        elif step == "erase":
            self._erase(*values)
        elif step == "look":
            self.check()
        else:
            self._finish(*values)

    def _send_again(self, chance: Any) -> None:
        events = sorted(self.sent, key=str)
        chance.shuffle(events)
        for some in batched(events, 10):
            record_events(some, now_ms=time.time_ns() // 1_000_000)

    def _erase(self, number: int, age_ms: int | None) -> None:
        player = self.player(number)
        until_ms = None if age_ms is EVERYTHING else self.now_ms - age_ms
        erasure = request_erasure(player, requested_by="test", until_ms=until_ms)
        assert erasure.until_ms >= max(until_ms or 0, self.until.get(player, 0))
        self.until[player] = erasure.until_ms
        erase_known(erasure)

    def _finish(self, way: str) -> None:
        if way == "a pass":
            assert ErasurePass(pending_erasures(), most_rows=1_000_000).run()
        else:
            audit = Audit(State.new(), fix=True, most_rows=1_000_000, in_flight_seconds=0)
            assert audit.run()
            assert audit.state.report.left == 0, audit.state.report
        self.gone = self.sent - self.kept()
        self.check()
        assert all(erasure_of(player).state == DONE for player in self.until)
        self.check_rows()

    def kept(self) -> set[Event]:
        return {event for event in self.sent if event.ts_ms > self.until.get(event.player_id, 0)}

    def check(self) -> None:
        """Every report shows what is kept; what was erased is gone once all tables have been read, or before."""
        must = {event for event in self.kept() if event.kind == "start"}
        may = {event for event in self.sent - self.gone if event.kind == "start"}
        window = Window(self.now_ms - 3 * DAY_MS, self.now_ms)
        shown: Counter[str] = Counter()
        for country in self.countries:
            of_country = [{event for event in starts if event.country == country} for starts in (must, may)]
            self._check_country(country, window, *of_country)
        for one in starts_by_country(window=window, now_ms=self.now_ms, newest=0):
            shown[one.country] = one.starts
        for country in self.countries:
            assert number_of(must, country) <= shown[country] <= number_of(may, country)
        for number in range(PLAYERS):
            self._check_player(self.player(number))

    def _check_country(self, country: str, window: Window, must: set[Event], may: set[Event]) -> None:
        number, page, _ = starts_of_country(country=country, window=window, now_ms=self.now_ms, limit=1_000)
        listed = {(start.ts_ms, start.session_id, start.player_id) for start in page}
        assert number == len(page)
        assert places(must) <= listed <= places(may)
        counted = Counter(dict(starts_by_hour(window=window, now_ms=self.now_ms, country=country)))
        assert +counted == Counter(hour_of(ts_ms) for ts_ms, _, _ in listed)

    def _check_player(self, player: str) -> None:
        """A player's own report is exact at once."""
        page, _ = player_sessions(player_id=player, state=ALL, overlaps=False, now_ms=self.now_ms, limit=100)
        shown = {one.session_id: (one.country, one.started_ms, one.ended_ms) for one in page}
        events = [event for event in self.kept() if event.player_id == player]
        assert shown == {session: latest(events, session) for session in {event.session_id for event in events}}

    def check_rows(self) -> None:
        ends = [event for event in self.kept() if event.kind == "end"]
        for player in map(self.player, range(PLAYERS)):
            rows = cassandra.execute(
                "SELECT toUnixTimestamp(ended_at), session_id FROM {keyspace}.completed_session_by_player_id "
                "WHERE player_id = ?",
                (player,),
            )
            assert set(rows) == {(end.ts_ms, end.session_id) for end in ends if end.player_id == player}


def places(starts: set[Event]) -> set[tuple[int, uuid.UUID, str]]:
    return {(event.ts_ms, event.session_id, event.player_id) for event in starts}


def number_of(starts: set[Event], country: str) -> int:
    return len({event for event in starts if event.country == country})


def latest(events: list[Event], session: uuid.UUID) -> tuple[str | None, int | None, int | None]:
    """The country and moment of a session's latest start, and the moment of its latest end."""
    starts = [(event.ts_ms, event.country) for event in events if event.session_id == session and event.kind == "start"]
    ends = [event.ts_ms for event in events if event.session_id == session and event.kind == "end"]
    started, country = max(starts) if starts else (None, None)
    return country, started, max(ends) if ends else None


@given(first=SENT, steps=st.lists(STEPS, max_size=8), last=ERASED, way=st.sampled_from(["a pass", "an audit"]))
@hypothesis_settings(max_examples=EXAMPLES, deadline=None)
def test_any_order_of_events_and_erasures_leaves_what_a_model_has(
    first: tuple, steps: list[tuple], last: tuple, way: str
) -> None:
    """Sessions start several times, so that starts which nothing of the player tells of are among the erased ones."""
    history = History()
    for step in (first, *steps, last, ("finish", way)):
        history.do(*step)
