"""Reads: a report that is in the cache, and a report of a player that is not; the same rows for every program."""

import json
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from benchmarks.apps import REPORT_KEY
from benchmarks.measure import Durations, Measurement, Row, measured_in_turn, new_run
from benchmarks.programs import (
    GTHREAD,
    OURS_SHIPPED,
    PROJECT,
    THEIRS,
    THREADS,
    Program,
    RunningProgram,
    environment_with,
    granian,
    started,
)
from benchmarks.store import opened_store, redis_url

KEYSPACE = "bench_reads"
PLAYERS, SESSIONS_OF_EACH = 2_000, 25
# The ten newest sessions of each: a report of 12 kB.
COUNTRIES = ["US", "DE", "GB", "FI", "FR", "SE", "BR", "JP"]
SHOWN = 20

FLOOR, FLOOR_CACHED = "benchmarks.apps.floor_reads:application", "floor-cached"
FLASK = "benchmarks.apps.flask_reads:app"
PROGRAMS = [
    Program("floor", "bare WSGI function, granian", granian(FLOOR)),
    Program(FLOOR_CACHED, "the same, with a GET and a SET in Redis", granian(FLOOR)),
    OURS_SHIPPED,
    Program("flask", "gunicorn gthread", f"{GTHREAD} --threads={THREADS} {FLASK}", THEIRS),
    Program("flask-granian", "granian", granian(FLASK), THEIRS),
]
# Of the service, and of the others.
REPORT, OTHER_REPORT = "/api/v1/reports/starts/?hours=24", "/report/"
PLAYER, OTHER_PLAYER, CACHED_PLAYER = "/api/v1/reports/players/{}/sessions/", "/players/{}", "/cached-players/{}"
QUESTIONS = ("cached", "player")


def measure_reads(question: str, chosen: Sequence[str], *, rounds: int, durations: Durations) -> Iterator[Row]:
    """A row for each program (by name) and round, as they come. ``question`` is one of QUESTIONS."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(opened_store())
        stack.callback(store.drop, KEYSPACE)
        store.create(KEYSPACE)
        players = imported_players(folder)
        # The others send the bytes that ours makes.
        needed = {*chosen, OURS_SHIPPED.name} if question == "cached" else {*chosen}
        running = [
            stack.enter_context(started(program, keyspace=KEYSPACE)) for program in PROGRAMS if program.name in needed
        ]
        if question == "cached":
            share_the_report(running)
        measurements = [
            asked(question, one, players, folder / one.program.name) for one in running if one.program.name in chosen
        ]
        yield from measured_in_turn(measurements, rounds=rounds, durations=durations)


def imported_players(folder: Path) -> list[str]:
    """Import a dump of sessions that have ended in the last days; its players."""
    dump = folder / "dump.jsonl"
    players = dump_of_players(dump)
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", dump.name, "--json"]
    environment = environment_with(CASSANDRA_KEYSPACE=KEYSPACE)
    summary = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE).stdout
    if json.loads(summary)["stored"] != PLAYERS * SESSIONS_OF_EACH * 2:
        raise RuntimeError(f"The import did not store everything: {summary.decode()}")
    return players


def dump_of_players(dump: Path) -> list[str]:
    """Write PLAYERS with SESSIONS_OF_EACH into a file, and return them."""
    players = [uuid.uuid4().hex for _ in range(PLAYERS)]
    dump.write_text("".join(json.dumps(event) + "\n" for player in players for event in events_of(player)))
    return players


def events_of(player: str) -> Iterator[Mapping[str, str]]:
    """The start and the end of each session of a player, one every three hours."""
    now = datetime.now(UTC)
    for number in range(1, SESSIONS_OF_EACH + 1):
        started_at = now - timedelta(hours=3 * number)
        common = {"player_id": player, "session_id": str(uuid.uuid4())}
        country = COUNTRIES[number % len(COUNTRIES)]
        yield {"event": "start", "country": country, "ts": started_at.isoformat(), **common}
        yield {"event": "end", "ts": (started_at + timedelta(minutes=20)).isoformat(), **common}


def share_the_report(running: Sequence[RunningProgram]) -> None:
    """Put the bytes that the service makes where the others find them, and see that each sends them."""
    ours = next(one for one in running if one.program == OURS_SHIPPED)
    report = fetched(ours.url + REPORT)
    with redis.Redis.from_url(redis_url()) as cache:
        cache.set(REPORT_KEY, report)
    for one in running:
        if fetched(one.url + path_of("cached", one)) != report:
            raise RuntimeError(f"{one.program.name} sends other bytes than the service.")


def asked(question: str, running: RunningProgram, players: Sequence[str], paths: Path) -> Measurement:
    """What wrk sends to the program; ``paths`` is a file for it."""
    template = path_of(question, running)
    if question == "cached":
        paths.write_text(template + "\n")
        return Measurement(running, arguments=lambda: ["paths", str(paths)])
    paths.write_text("".join(template.format(player) + "\n" for player in players))
    if len(json.loads(fetched(running.url + template.format(players[0])))["results"]) != SHOWN:
        raise RuntimeError(f"{running.program.name} does not show {SHOWN} sessions.")
    return Measurement(running, arguments=lambda: ["paths", str(paths), new_run()])


def path_of(question: str, running: RunningProgram) -> str:
    """The address of the report, with a place for the player."""
    if question == "cached":
        return REPORT if running.program == OURS_SHIPPED else OTHER_REPORT
    return {OURS_SHIPPED.name: PLAYER, FLOOR_CACHED: CACHED_PLAYER}.get(running.program.name, OTHER_PLAYER)


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as reply:
        return bytes(reply.read())
