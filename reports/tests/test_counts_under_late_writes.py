"""Every report is exact while starts of hours that are over go on arriving, in any order and again, and are counted."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from events.counting.hours import bring_up_to_date
from events.domain import DAY_MS, HOUR_MS, Event, Window, day_of
from events.services import record_events
from reports.starts import starts_by_country, starts_of_country
from tests.truth import HOURS, Game, Start, starts_by_hour

# The second of a replay at the last.
ROUNDS = 12
PAGE = 1_000


class Here:
    """The service in this process, as tests.truth asks it."""

    def send(self, starts: Sequence[Start]) -> None:
        record(starts, at_ms=wall_clock_ms())

    def by_hour(self, country: str, window: Window) -> Counter[int]:
        return Counter(dict(starts_by_hour(window=window, now_ms=window.to_ms, country=country)))

    def by_country(self, window: Window) -> Counter[str]:
        report = starts_by_country(window=window, now_ms=window.to_ms, newest=0)
        return Counter({one.country: one.starts for one in report})

    def listed(self, country: str, window: Window) -> Counter[Start]:
        rows: Counter[Start] = Counter()
        after = None
        while True:
            _, page, after = starts_of_country(
                country=country, window=window, now_ms=window.to_ms, limit=PAGE, after=after
            )
            rows.update(Start(country, one.ts_ms, one.session_id) for one in page)
            if after is None:
                return rows


def record(starts: Sequence[Start], *, at_ms: int) -> None:
    events = [Event("start", "late", start.session_id, start.ts_ms, start.country) for start in starts]
    record_events(events, now_ms=at_ms)


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def fill(game: Game) -> None:
    """A start in every hour, and every day stored."""
    now_ms = wall_clock_ms()
    starts = [
        Start(country, now_ms - age * HOUR_MS, uuid.uuid4()) for age in range(1, HOURS) for country in game.countries
    ]
    game.truth.sending(starts)
    for start in starts:
        record([start], at_ms=now_ms)
    game.truth.acknowledged(starts)
    day = day_of(now_ms)
    bring_up_to_date([day - DAY_MS, day], now_ms=now_ms)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_report_has_what_was_acknowledged_and_nothing_that_was_not_sent(
    new_country: Callable[[], str], seed: int
) -> None:
    service = Here()
    game = Game([service], {new_country(), new_country()}, now_ms=wall_clock_ms, seed=seed, rounds=ROUNDS)
    fill(game)
    with game:
        game.wait_for_writers()
    game.check(service)
    game.check(service)  # from stored counts
    # A write into an hour whose count is stored is seen by the very next report.
    game.send(service, [Start(game.countries[0], wall_clock_ms() - 5 * HOUR_MS, uuid.uuid4())])
    game.check(service)
