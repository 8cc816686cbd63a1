"""Two imports and live events at the same time, into hours that are being counted: the counts are exact.

Until an import has announced what it wrote, a report may show less of it than the one before: nothing is promised of it
yet. A start that was recorded is in every report from then on.
"""

import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conftest import PROJECT
from events.batched import batched
from events.counting.hours import bring_up_to_date
from events.domain import DAY_MS, HOUR_MS, Event, day_of, format_timestamp, hour_of
from events.services import record_events
from reports.starts import report_window, starts_by_country, starts_of_country
from tests.truth import starts_by_hour

HOURS = 50
STARTS_OF_EACH = 10_000


class Game:
    """The starts of one country, dealt to three writers."""

    def __init__(self, country: str, now_ms: int) -> None:
        self.country, self.now_ms = country, now_ms
        self.expected: Counter[int] = Counter()
        self.recorded: Counter[int] = Counter()

    def new_moments(self, number: int) -> list[int]:
        """Of starts in every hour of the window; they are expected to be counted in the end."""
        moments = [self.now_ms - random.randrange((HOURS - 1) * HOUR_MS) for _ in range(number)]
        self.expected.update(map(hour_of, moments))
        return moments

    def record(self, moments: list[int], *, player_id: str) -> None:
        events = [Event("start", player_id, uuid.uuid4(), ts, self.country) for ts in moments]
        record_events(events, now_ms=time.time_ns() // 1_000_000)
        self.recorded = self.recorded + Counter(map(hour_of, moments))  # a new one: others read it meanwhile

    def counted(self, now_ms: int) -> Counter[int]:
        window = report_window(hours=HOURS, as_of_ms=self.now_ms, now_ms=now_ms)
        return +Counter(dict(starts_by_hour(window=window, now_ms=now_ms, country=self.country)))


def write_dump(game: Game, folder: Path, name: str) -> None:
    moments = game.new_moments(STARTS_OF_EACH)
    lines = [
        {"event": "start", "country": game.country, "player_id": f"{name}-{number % 100}", "ts": format_timestamp(ts)}
        for number, ts in enumerate(moments)
    ]
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def import_command(name: str) -> list[str]:
    return [sys.executable, str(PROJECT / "manage.py"), "import_sessions", name, "--json"]


def record_live(game: Game, moments: list[int], imports: list[subprocess.Popen], begun: threading.Event) -> bool:
    """Record ten at a time once the imports have begun; whether one still ran when half were recorded."""
    overlapped = False
    assert begun.wait(60)
    for first in range(0, len(moments), 10):
        game.record(moments[first : first + 10], player_id="live")
        if first == len(moments) // 20 * 10:
            overlapped = any(one.poll() is None for one in imports)
    return overlapped


def test_every_start_of_two_imports_and_live_events_is_counted_once(
    country: str, now_ms: int, tmp_path: Path, start_process: Callable[..., subprocess.Popen]
) -> None:
    game = Game(country, now_ms)
    # Every hour has been counted, and its count is stored, before the imports begin.
    for some in batched(game.new_moments(200), 10):
        game.record(some, player_id="early")
    days = range(day_of(now_ms - HOURS * HOUR_MS), now_ms, DAY_MS)
    bring_up_to_date(days, now_ms=now_ms)
    assert game.counted(now_ms) == game.expected
    live = game.new_moments(2_000)
    for name in ("one", "two"):
        write_dump(game, tmp_path, name)
    imports = [start_process(import_command(name), cwd=tmp_path, stdout=subprocess.PIPE) for name in ("one", "two")]
    with ThreadPoolExecutor(1) as pool:
        begun = threading.Event()
        writer = pool.submit(record_live, game, live, imports, begun)
        try:
            while not writer.done() or any(one.poll() is None for one in imports):
                recorded = game.recorded
                shown = game.counted(time.time_ns() // 1_000_000)
                assert recorded <= shown <= game.expected
                if recorded < shown:
                    begun.set()
        finally:
            begun.set()
    assert writer.result(), "the imports ended too early to meet the live events"
    for one in imports:
        assert json.loads(one.communicate()[0])["stored"] == STARTS_OF_EACH
    for _ in range(2):  # the second time from stored counts
        now = time.time_ns() // 1_000_000
        assert game.counted(now) == game.expected
        window = report_window(hours=HOURS, as_of_ms=now_ms, now_ms=now)
        [of_all] = [one for one in starts_by_country(window=window, now_ms=now, newest=0) if one.country == country]
        assert of_all.starts == game.expected.total()
    rows = recounted(country, now_ms)
    assert rows == game.expected


def recounted(country: str, now_ms: int) -> Counter[int]:
    """Every row, read page by page."""
    window = report_window(hours=HOURS, as_of_ms=now_ms, now_ms=now_ms)
    rows: Counter[int] = Counter()
    after = None
    while True:
        _, page, after = starts_of_country(country=country, window=window, now_ms=now_ms, limit=1_000, after=after)
        rows.update(hour_of(start.ts_ms) for start in page)
        if after is None:
            return rows
