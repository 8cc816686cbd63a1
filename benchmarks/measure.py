"""One program under load for one round: throughput and latency at saturation, latency at half of it, CPU."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import psutil

from benchmarks.programs import Listener, RunningProgram
from benchmarks.store import cassandra_port
from benchmarks.wrk import CONNECTIONS, Load, run_wrk

# At half of saturation: more connections with pauses between their requests, as many clients have; wrk knows no rate.
HALF_CONNECTIONS = 48
HALF = 0.5
# Until every worker has connected and prepared its statements.
FIRST_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Durations:
    """Whole seconds of each phase."""

    warm_up: int
    saturated: int
    half: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one program did in one round.

    CPU is µs per accepted request. ``stolen`` is the share of the machine's time that its host gave to others, and
    ``found`` the rows in the store for the events ``acknowledged`` until now, 0 where nothing is written.
    """

    round: int
    program: str
    server: str
    requests_s: float
    events_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    refused: int
    half_load: float
    half_p90_ms: float
    web_us: float
    jvm_us: float
    wrk_us: float
    stolen: float
    acknowledged: int
    found: int

    def __str__(self) -> str:
        return (
            f"{self.round} {self.program:<14}{self.events_s:>8.0f}/s  p50 {self.p50_ms:.1f} p90 {self.p90_ms:.1f} "
            f"p99 {self.p99_ms:.1f} ms, p90 at half {self.half_p90_ms:.1f} ms, CPU: web {self.web_us:.0f} µs, "
            f"Cassandra {self.jvm_us:.0f} µs, stolen {self.stolen:.0%}"
        )


class Measurement:
    """A running program with the requests that it gets; ``arguments`` makes new ones for each run of wrk."""

    def __init__(
        self, running: RunningProgram, *, arguments: Callable[[], Sequence[str]], path: str = "/", batch: int = 1
    ) -> None:
        self.running = running
        self._url = running.url + path
        self._batch = batch
        self._arguments = arguments
        self.acknowledged = self.sent = 0

    def load(self, *, seconds: int, connections: int = CONNECTIONS, think_ms: float = 0) -> Load:
        load = run_wrk(self._url, self._arguments(), seconds=seconds, connections=connections, think_ms=think_ms)
        self.acknowledged += load.accepted * self._batch
        self.sent += load.sent * self._batch
        if load.broken or not load.accepted:
            raise RuntimeError(f"{self.running.program.name}: {load}")
        return load

    def row(self, number: int, durations: Durations, cassandra: Listener) -> Row:
        """Measure one round; ``found`` is filled in by whoever counts."""
        self.load(seconds=durations.warm_up)
        psutil.cpu_times_percent()
        web, jvm = self.running.cpu_seconds(), cassandra.cpu_seconds()
        full = self.load(seconds=durations.saturated)
        web, jvm = self.running.cpu_seconds() - web, cassandra.cpu_seconds() - jvm
        stolen = psutil.cpu_times_percent().steal / 100
        half = self.load_half(full, seconds=durations.half)
        return Row(
            round=number,
            program=self.running.program.name,
            server=self.running.program.what,
            requests_s=full.rate,
            events_s=full.rate * self._batch,
            p50_ms=full.p50_ms,
            p90_ms=full.p90_ms,
            p99_ms=full.p99_ms,
            refused=full.refused,
            half_load=half.rate / full.rate,
            half_p90_ms=half.p90_ms,
            web_us=web / full.accepted * 1e6,
            jvm_us=jvm / full.accepted * 1e6,
            wrk_us=full.cpu_seconds / full.accepted * 1e6,
            stolen=stolen,
            acknowledged=self.acknowledged,
            found=0,
        )

    def load_half(self, full: Load, *, seconds: int) -> Load:
        """Load with half the rate of ``full``: a connection's cycle is its pause and the (then shorter) reply."""
        cycle_ms = HALF_CONNECTIONS / (full.rate * HALF) * 1000
        reply_ms = full.p50_ms / 3
        return self.load(seconds=seconds, connections=HALF_CONNECTIONS, think_ms=max(1.0, cycle_ms - reply_ms))


def measured_in_turn(
    measurements: Sequence[Measurement],
    *,
    rounds: int,
    durations: Durations,
    found: Callable[[Measurement], int] = lambda _: 0,
) -> Iterator[Row]:
    """One row for each program in every round: what slows the machine down for a while slows all of them."""
    cassandra = Listener(cassandra_port())
    for measurement in measurements:
        measurement.load(seconds=FIRST_SECONDS)
    for number in range(1, rounds + 1):
        for measurement in measurements:
            row = measurement.row(number, durations, cassandra)
            yield replace(row, found=found(measurement))


def new_run() -> str:
    """A name that no other run of wrk has."""
    return uuid.uuid4().hex[:8]
