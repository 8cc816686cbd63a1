"""Moving in from the earlier service: how long it takes, and whether every report has what a model in plain Python has.

Makes a keyspace with the two tables of the earlier service, so many rows together: sessions of 13 months, of which the
first is too old, ends without starts, sessions that go on, events of one country and millisecond, and some without a
session. Moves it with ``import_sessions --from-keyspace`` into a keyspace of its own, serves that, and compares: starts
of all countries over several windows and moments, the timeline of each, the lists of a day, and the sessions of
players. A report that differs ends the run. Adds the figures to RESULTS.md with ``--record``. Wants the stack of
``make up``, or CASSANDRA_HOSTS and REDIS_URL.
"""

import json
import random
import shlex
import subprocess
import sys
import tempfile
import time
import uuid
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.markdown import table
from benchmarks.programs import OURS_UNCACHED, PROJECT, environment_with, started
from benchmarks.reports_at_scale import STARTS, Service
from benchmarks.results import here_and_now, write_section
from benchmarks.store import Store, opened_store
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, Window, format_timestamp, hour_of

# Of the ids that an import makes for events without a session: events/importing/lines.py.
NAMESPACE = uuid.UUID("6b1f4f0c-3f0a-5a3e-9c55-0d9f3b0a7c11")
COLUMNS = "player_id text, ts timestamp, country text, event text, session_id uuid"
EARLIER = {"session_by_country": "country", "session_by_player_id": "player_id"}
COUNTRIES = ("US", "CN", "JP", "DE", "BR", "IN", "FR", "GB", "KR", "FI", "SE", "NO", "IS")
SESSIONS_PER_PLAYER = 10
# Sessions begin up to so many days ago, or longer ago than a year and up to so many days more. Nothing lies between:
# what expires while the reports are compared is in none of them.
DAYS, TOO_OLD_DAYS, MORE_DAYS = 360, 366, 30
CUTOFF_DAYS = 365.5
WINDOWS = (1, 24, 168, 720, 8784)
AGES_DAYS = (0, 1, 100)
PAGE = 1_000
TITLES = ("rows", "events", "filled in s", "moved in s", "rows/s", "reports compared", "in s")


class Event(NamedTuple):
    """A row of both tables; without a session where the earlier service had none."""

    player_id: str
    ts_ms: int
    country: str
    kind: str
    session_id: uuid.UUID | None

    @property
    def moved_id(self) -> str:
        """The id of its session after the move."""
        if self.session_id:
            return str(self.session_id)
        moment = format_timestamp(self.ts_ms).replace("T", " ")
        return str(uuid.uuid5(NAMESPACE, f"{self.player_id} {moment} {self.kind}"))


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="of both tables together")
    parser.add_argument("--players", type=int, default=1_000, help="whose sessions are compared")
    parser.add_argument("--record", action="store_true", help="add the figures to benchmarks/RESULTS.md")
    arguments = parser.parse_args()
    with opened_store() as store:
        figures = table(TITLES, [moved(store, rows=arguments.rows, players=arguments.players)])
    print(figures)
    if arguments.record:
        command = f"`python -m benchmarks.move_in {shlex.join(sys.argv[1:])}".strip()
        write_section("moving in", f"{command}` {here_and_now()}", figures)


def moved(store: Store, *, rows: int, players: int) -> Sequence[str]:
    """The line of one move. Raises AssertionError when anything differs."""
    earlier, ours = f"earlier_{rows}", f"moved_{rows}"
    now_ms = time.time_ns() // 1_000_000
    events = sorted(made_up(rows // 2, now_ms=now_ms))
    try:
        began = time.monotonic()
        create(store, earlier)
        fill(store, earlier, events)
        store.create(ours)
        filled = time.monotonic()
        summary = move(earlier, ours)
        ended = time.monotonic()
        check_summary(summary, events, now_ms=now_ms)
        with started(OURS_UNCACHED, keyspace=ours) as service:
            compared = compare(Service(service.url), Model(events, now_ms=now_ms), players=players)
        took = time.monotonic() - ended
    finally:
        store.drop(earlier)
        store.drop(ours)
    seconds = ended - filled
    speed = summary["read"] / seconds
    numbers = (summary["read"], len(events), filled - began, seconds, speed, compared, took)
    return [f"{number:,.0f}" for number in numbers]


def made_up(number: int, *, now_ms: int) -> Iterator[Event]:
    """So many events. Of a player no two have one moment: they would have one key in both tables."""
    chance = random.Random(1)
    left = number
    while left > 0:
        player = chance.getrandbits(128).to_bytes(16, "big").hex()
        moments: set[int] = set()
        for event in sessions(player, chance, now_ms=now_ms):
            if left > 0 and event.ts_ms not in moments:
                moments.add(event.ts_ms)
                left -= 1
                yield event


def sessions(player: str, chance: random.Random, *, now_ms: int) -> Iterator[Event]:
    """The events of one player, whose sessions begin at full minutes: some in one country with others'."""
    country = chance.choices(COUNTRIES, range(len(COUNTRIES), 0, -1))[0]
    for _ in range(chance.randrange(1, 2 * SESSIONS_PER_PLAYER)):
        age_days = TOO_OLD_DAYS + chance.random() * MORE_DAYS if chance.random() < 0.08 else chance.random() * DAYS
        if chance.random() < 0.2:
            age_days /= DAYS  # of the last day
        began = (now_ms - int(age_days * DAY_MS)) // MINUTE_MS * MINUTE_MS
        session = None if chance.random() < 0.01 else uuid.UUID(int=chance.getrandbits(128), version=4)
        if chance.random() < 0.95:
            yield Event(player, began, country, "start", session)
        if chance.random() < 0.8:
            ended = min(began + chance.randrange(1_000, 2 * HOUR_MS), now_ms)
            yield Event(player, ended, country, "end", session)


def create(store: Store, keyspace: str) -> None:
    """The tables of the earlier service, as it created them."""
    store.drop(keyspace)
    replication = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
    store.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {replication}")
    for name, key in EARLIER.items():
        store.execute(f"CREATE TABLE {keyspace}.{name} ({COLUMNS}, PRIMARY KEY ({key}, ts))")


def fill(store: Store, keyspace: str, events: Sequence[Event]) -> None:
    """Write every event into both tables, with null where it has no session.

    Left out instead, the column would keep what an event of the same country and millisecond has written.
    """
    columns = "player_id, ts, country, event, session_id"
    for name in EARLIER:
        store.insert(f"INSERT INTO {keyspace}.{name} ({columns}) VALUES (?, ?, ?, ?, ?)", events)


def move(earlier: str, ours: str) -> dict[str, Any]:
    """Import the tables as their users do; the summary."""
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "--from-keyspace", earlier, "--json"],
            cwd=folder,
            env=environment_with(CASSANDRA_KEYSPACE=ours),
            stdout=subprocess.PIPE,
            check=False,
        )
    if ended.returncode:
        raise SystemExit(f"The import failed: {ended.stdout.decode()}")
    return dict(json.loads(ended.stdout))


def check_summary(summary: dict[str, Any], events: Sequence[Event], *, now_ms: int) -> None:
    """Every row was read, and what is too old was discarded: from both tables, of which one has a row for each key."""
    keys = {(event.country, event.ts_ms) for event in events}
    assert summary["read"] == len(events) + len(keys), summary
    old_ms = now_ms - CUTOFF_DAYS * DAY_MS
    old = sum(event.ts_ms < old_ms for event in events) + sum(ts_ms < old_ms for _, ts_ms in keys)
    assert (summary["discarded"], summary["rejected"]) == (old, 0), summary
    assert summary["stored"] == summary["read"] - old, summary


class Model:
    """What the reports must show."""

    def __init__(self, events: Iterable[Event], *, now_ms: int) -> None:
        self.now_ms = now_ms
        kept = [event for event in events if event.ts_ms > now_ms - CUTOFF_DAYS * DAY_MS]
        self.starts = [event for event in kept if event.kind == "start"]
        self.of_player: dict[str, list[Event]] = defaultdict(list)
        for event in kept:
            self.of_player[event.player_id].append(event)

    def by_country(self, window: Window) -> dict[str, int]:
        return dict(Counter(start.country for start in self.starts_in(window)))

    def by_hour(self, window: Window, country: str | None) -> dict[int, int]:
        return dict(
            Counter(hour_of(start.ts_ms) for start in self.starts_in(window) if country in (None, start.country))
        )

    def listed(self, window: Window, country: str) -> set[tuple[str, str, str]]:
        return {
            (format_timestamp(start.ts_ms), start.moved_id, start.player_id)
            for start in self.starts_in(window)
            if start.country == country
        }

    def starts_in(self, window: Window) -> Iterator[Event]:
        return (start for start in self.starts if window.from_ms < start.ts_ms <= window.to_ms)

    def sessions(self, player: str) -> dict[str, tuple[str | None, ...]]:
        """Of each session its country, start and end."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for event in self.of_player[player]:
            found[event.moved_id][event.kind] = format_timestamp(event.ts_ms)
            if event.kind == "start":
                found[event.moved_id]["country"] = event.country
        return {one: (had.get("country"), had.get("start"), had.get("end")) for one, had in found.items()}


def compare(service: Service, model: Model, *, players: int) -> int:
    """Hold every report against the model; how many there were. Raises AssertionError."""
    compared = 0
    for hours in WINDOWS:
        for age_days in AGES_DAYS:
            to_ms = model.now_ms - age_days * DAY_MS
            window, asked = Window(to_ms - hours * HOUR_MS, to_ms), question(hours, to_ms)
            compared += compare_countries(service, model, window, asked)
            for country in (None, *COUNTRIES):
                compared += compare_timeline(service, model, window, asked, country)
    day = Window(model.now_ms - DAY_MS, model.now_ms)
    for country in COUNTRIES:
        compared += compare_list(service, model, day, country)
    known = sorted(model.of_player)
    for player in random.Random(2).sample(known, min(players, len(known))):
        compared += compare_player(service, model, player)
    return compared


def question(hours: int, to_ms: int) -> str:
    return urlencode({"hours": hours, "as_of": format_timestamp(to_ms)})


def compare_countries(service: Service, model: Model, window: Window, asked: str) -> int:
    _, report = service.get(f"{STARTS}?{asked}&sessions=0")
    shown = {one["country"]: one["starts"] for one in report["countries"]}
    assert shown == model.by_country(window), asked
    return 1


def compare_timeline(service: Service, model: Model, window: Window, asked: str, country: str | None) -> int:
    _, report = service.get(f"{STARTS}timeline/?{asked}{f'&country={country}' if country else ''}")
    shown = {milliseconds(one["hour"]): one["starts"] for one in report["points"] if one["starts"]}
    assert shown == model.by_hour(window, country), (country, asked)
    return 1


def compare_list(service: Service, model: Model, window: Window, country: str) -> int:
    pages, rows = 0, []
    path = f"{STARTS}{country}/?{question(24, window.to_ms)}&limit={PAGE}"
    while path:
        _, page = service.get(path)
        rows += [(row["ts"], row["session_id"], row["player_id"]) for row in page["results"]]
        path = page["next"] and f"/api/{page['next'].partition('/api/')[2]}"
        pages += 1
    assert len(rows) == len({*rows}), country
    assert {*rows} == model.listed(window, country), country
    return pages


def compare_player(service: Service, model: Model, player: str) -> int:
    """Of a player with at most a hundred sessions: all, and of those the completed ones."""
    wanted = model.sessions(player)
    address = f"/api/v1/reports/players/{player}/sessions/?limit=100"
    for state in ("all", "completed"):
        _, report = service.get(f"{address}&state={state}")
        shown = {row["session_id"]: (row["country"], row["started_at"], row["ended_at"]) for row in report["results"]}
        completed = {one: row for one, row in wanted.items() if row[2] is not None}
        assert shown == (wanted if state == "all" else completed), (player, state)
    return 2


def milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1_000)


if __name__ == "__main__":
    main()
