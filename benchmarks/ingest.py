"""Ingest: every program in turn, round after round, each with a keyspace of its own whose rows are counted."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from benchmarks import programs
from benchmarks.measure import Durations, Measurement, Row
from benchmarks.programs import GRANIAN, GTHREAD, THEIRS, Listener, Program, RunningProgram
from benchmarks.store import Store, cassandra_port

BATCH = 10
WSGI = "sessions_project.wsgi:application"
PROGRAMS = [programs.FLOOR, programs.OURS_SHIPPED, programs.FLASK, programs.FASTAPI]
# The same service under other servers and with other numbers of threads.
OTHER_SERVERS = [
    Program("ours-gthread", "gunicorn gthread, 4 threads", f"{GTHREAD} --threads=4 {WSGI}", THEIRS),
    *[
        Program(f"ours-{number}", f"granian, {number} threads", f"{GRANIAN} --blocking-threads={number} {WSGI}")
        for number in (1, 2, 8, 16)
    ],
    Program("flask-own", "Flask's own server", "flask --app benchmarks.apps.plain_flask run --port={port}", THEIRS),
]
ADDRESSES = {"floor": "/", "flask": "/event-handler", "flask-own": "/event-handler", "fastapi": "/events/"}
SERVICE_ADDRESS = "/api/v1/events/"


def measure_ingest(chosen: Sequence[Program], *, rounds: int, durations: Durations) -> Iterator[Row]:
    """A row for each program and round, as they come."""
    jvm = Listener(cassandra_port())
    with ExitStack() as stack:
        store = Store()
        stack.callback(store.close)
        measurements = [stack.enter_context(started(program, store)) for program in chosen]
        for number in range(1, rounds + 1):
            for measurement in measurements:
                row = measurement.row(number, durations, jvm)
                yield replace(row, found=counted(measurement, store))


@contextmanager
def started(program: Program, store: Store) -> Iterator[Measurement]:
    """The program, warm, with an empty keyspace; both are gone afterwards."""
    keyspace = f"bench_{program.name.replace('-', '_')}"
    store.create(keyspace)
    running = RunningProgram(program, keyspace=keyspace)
    batch = 1 if program.name.startswith("flask") else BATCH
    path = ADDRESSES.get(program.name, SERVICE_ADDRESS)
    try:
        measurement = Measurement(running, path=path, batch=batch, arguments=lambda: new_events(batch))
        measurement.load(seconds=2)
        yield measurement
    finally:
        running.stop()
        store.drop(keyspace)


def new_events(batch: int) -> list[str]:
    """Sessions that no other run of wrk sends."""
    return ["events", uuid.uuid4().hex[:8], str(batch)]


def counted(measurement: Measurement, store: Store) -> int:
    """How many sessions are stored, which must be those acknowledged and perhaps those that wrk's end cut off."""
    found = store.sessions_in(measurement.running.keyspace)
    if not measurement.acknowledged <= found <= measurement.sent:
        name, told, sent = measurement.running.program.name, measurement.acknowledged, measurement.sent
        raise RuntimeError(f"{name} acknowledged {told:,} of {sent:,} events and stores {found:,}.")
    return found
