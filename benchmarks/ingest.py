"""Ingest: every program in turn, round after round, each with a keyspace of its own whose rows are counted."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.measure import Durations, Measurement, Row, measured_in_turn, new_run
from benchmarks.programs import GTHREAD, OURS_SHIPPED, THEIRS, THREADS, UVICORN, Program, granian, started
from benchmarks.store import Store, opened_store

BATCH = 10
FLASK = "benchmarks.apps.plain_flask:app"
WSGI = "sessions_project.wsgi:application"
PROGRAMS = [
    Program("floor", "bare WSGI function, granian", granian("benchmarks.apps.floor:application")),
    OURS_SHIPPED,
    Program("flask", "gunicorn gthread", f"{GTHREAD} --threads={THREADS} {FLASK}", THEIRS),
    Program("fastapi", "uvicorn", f"{UVICORN} benchmarks.apps.fast_api:app", THEIRS),
]
# The same service under another server and with other numbers of threads; Flask as a tutorial serves it.
OTHER_SERVERS = [
    Program("ours-gthread", "gunicorn gthread", f"{GTHREAD} --threads={THREADS} {WSGI}", THEIRS),
    *[Program(f"ours-{n}", f"granian, {n} threads", granian(WSGI, threads=n)) for n in (1, 4, 8)],
    Program("flask-own", "Flask's own server", f"flask --app {FLASK} run --port={{port}}", THEIRS),
]
# The service once more, sent starts of which so many of a hundred are late.
LATE = replace(OURS_SHIPPED, name="ours-late", what="as shipped, a tenth of the starts late")
LATE_PERCENT = 10
# Where events go; the service's address otherwise.
ADDRESSES = {"floor": "/", "flask": "/event-handler", "flask-own": "/event-handler", "fastapi": "/events/"}
SERVICE_ADDRESS = "/api/v1/events/"


def measure_ingest(chosen: Sequence[str], *, rounds: int, durations: Durations) -> Iterator[Row]:
    """A row for each program (by name) and round, as they come. Raises RuntimeError when events are missing."""
    with ExitStack() as stack:
        store = stack.enter_context(opened_store())
        programs = [program for program in [*PROGRAMS, LATE, *OTHER_SERVERS] if program.name in chosen]
        measurements = [send_events(program, store, stack) for program in programs]
        yield from measured_in_turn(
            measurements, rounds=rounds, durations=durations, found=lambda one: counted(one, store)
        )


def send_events(program: Program, store: Store, stack: ExitStack) -> Measurement:
    """The program, started, with a keyspace that is empty and goes with it."""
    keyspace = f"bench_{program.name.replace('-', '_')}"
    store.create(keyspace)
    stack.callback(store.drop, keyspace)
    running = stack.enter_context(started(program, keyspace=keyspace))
    batch = 1 if program.name.startswith("flask") else BATCH
    path = ADDRESSES.get(program.name, SERVICE_ADDRESS)
    late = str(LATE_PERCENT if program is LATE else 0)
    return Measurement(running, path=path, batch=batch, arguments=lambda: ["events", new_run(), str(batch), late])


def counted(measurement: Measurement, store: Store) -> int:
    """How many sessions are stored: those acknowledged, and perhaps those in flight when wrk ended."""
    found = store.sessions_in(measurement.running.keyspace)
    if not measurement.acknowledged <= found <= measurement.sent:
        name, acknowledged, sent = measurement.running.program.name, measurement.acknowledged, measurement.sent
        raise RuntimeError(f"{name} acknowledged {acknowledged:,} of {sent:,} events and stores {found:,}.")
    return found
