"""Counts are exact while events for hours that are over go on arriving and are counted."""

import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from events.domain import HOUR_MS, Event, hour_of
from events.keeping import MARGIN_MS
from events.services import record_events
from reports.selectors import report_window, starts_by_country, starts_by_hour, starts_of_country

HOURS = 30
WRITERS, READERS = 3, 4
BATCHES = 12


class Ledger:
    """How many starts of each hour are known to be recorded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._durable: Counter[int] = Counter()
        self._sent: Counter[int] = Counter()

    def sending(self, events: list[Event]) -> None:
        with self._lock:
            self._sent.update(hour_of(event.ts_ms) for event in events)

    def recorded(self, events: list[Event]) -> None:
        with self._lock:
            self._durable.update(hour_of(event.ts_ms) for event in events)

    def durable(self) -> Counter[int]:
        with self._lock:
            return self._durable.copy()

    def sent(self) -> Counter[int]:
        with self._lock:
            return self._sent.copy()


class Game:
    """Writers and readers of one country."""

    def __init__(self, country: str, now_ms: int, seed: int) -> None:
        self.country, self.now_ms, self.seed = country, now_ms, seed
        self.ledger = Ledger()
        self.writing = threading.Event()
        self.writing.set()

    def fill(self) -> None:
        """A start in every hour, recorded long enough ago that the first reader keeps its count."""
        for age in range(1, HOURS - 1):
            self.record([self.now_ms - age * HOUR_MS], at_ms=self.now_ms - 2 * MARGIN_MS)

    def write(self, number: int) -> None:
        chance = random.Random(self.seed + number)
        for _ in range(BATCHES):
            moments = [self.now_ms - chance.randrange(1, (HOURS - 2) * HOUR_MS) for _ in range(chance.randint(1, 10))]
            self.record(moments, at_ms=time.time_ns() // 1_000_000)

    def record(self, moments: list[int], *, at_ms: int) -> None:
        events = [Event("start", "late", uuid.uuid4(), ts_ms, self.country) for ts_ms in moments]
        self.ledger.sending(events)
        record_events(events, now_ms=at_ms)
        self.ledger.recorded(events)

    def read(self) -> None:
        while self.writing.is_set():
            before = self.ledger.durable()
            shown = Counter(dict(self.report(time.time_ns() // 1_000_000)))
            assert before <= shown, "a start whose writer had been answered is missing"
            assert shown <= self.ledger.sent(), "a start is counted that nobody sent"

    def report(self, now_ms: int) -> list[tuple[int, int]]:
        window = report_window(hours=HOURS, as_of_ms=self.now_ms, now_ms=now_ms)
        return starts_by_hour(window=window, now_ms=now_ms, country=self.country)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_it_works(new_country, seed: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    game = Game(new_country(), now_ms, seed)
    game.fill()
    with ThreadPoolExecutor(WRITERS + READERS) as pool:
        readers = [pool.submit(game.read) for _ in range(READERS)]
        writers = [pool.submit(game.write, number) for number in range(WRITERS)]
        for writer in writers:
            writer.result()
        game.writing.clear()
        for reader in readers:
            reader.result()
    after_margin = time.time_ns() // 1_000_000 + MARGIN_MS + 1_000
    recount = game.ledger.durable()
    for _ in range(2):  # the second time from kept counts
        assert +Counter(dict(game.report(after_margin))) == recount
        window = report_window(hours=HOURS, as_of_ms=now_ms, now_ms=after_margin)
        starts, rows, _ = starts_of_country(country=game.country, window=window, now_ms=after_margin, limit=1_000)
        assert starts == len(rows) == recount.total()
        assert Counter(hour_of(row.ts_ms) for row in rows) == recount
        [of_all] = [
            one
            for one in starts_by_country(window=window, now_ms=after_margin, newest=0)
            if one.country == game.country
        ]
        assert of_all.starts == recount.total()
    # A write into an hour whose count is kept is seen by the very next report.
    game.record([now_ms - 5 * HOUR_MS], at_ms=time.time_ns() // 1_000_000)
    assert +Counter(dict(game.report(after_margin))) == game.ledger.durable()
