"""Answers ``/metrics`` for all workers: adds what the living have counted to what those had counted that have ended.

A process of its own, without the framework: it answers when workers are busy, hang, or fail one after the other. It
ends when nobody holds the other end of its standard input any more.
"""

import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.catalogue import BUILD_INFO, METRICS, SNAPSHOT_AGE, WORKERS, WORKERS_ENDED
from metrics.cells import Cell, Cells, add
from metrics.kinds import Counter, Gauge, Histogram
from metrics.sender import Snapshot

SECONDS_BETWEEN_TRIES = 1.0
# A worker that gives up a connection has a new one a second later. One that has not come back by then has ended.
SECONDS_TO_COME_BACK = 5.0
_decode = msgspec.json.Decoder(Snapshot).decode
# The values of the labels of a metric, and what it has under these.
Labelled = tuple[tuple[str, ...], Cell]


class Workers:
    """The latest snapshots of all workers. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, tuple[float, Snapshot]] = {}
        self._disconnected: dict[str, float] = {}  # since when
        self._of_ended: Cells = {}
        self._ended = 0

    def update(self, snapshot: Snapshot) -> None:
        """Take a snapshot in place of the worker's former one."""
        with self._lock:
            self._latest[snapshot.worker] = time.monotonic(), snapshot
            self._disconnected.pop(snapshot.worker, None)

    def disconnect(self, worker: str) -> None:
        """Note that the connection of a worker has ended, and most likely the worker: its gauges are left out."""
        with self._lock:
            if worker in self._latest:
                self._disconnected[worker] = time.monotonic()

    def numbers(self) -> Cells:
        """Return the numbers of every metric, by its name and the values of its labels."""
        with self._lock:
            self._add_up_ended()
            total = {key: [*cell] for key, cell in self._of_ended.items()}
            disconnected, latest, ended = {*self._disconnected}, {**self._latest}, self._ended
        living = {worker: one for worker, one in latest.items() if worker not in disconnected}
        for _, snapshot in latest.values():
            add(total, snapshot.counted)
        for _, snapshot in living.values():
            _take_gauges(total, snapshot)
        oldest = min((at for at, _ in living.values()), default=time.monotonic())
        total.update({key: [1] for key in total if key[0] == BUILD_INFO.name})
        total[WORKERS.name,] = [len(living)]
        total[WORKERS_ENDED.name,] = [ended]
        total[SNAPSHOT_AGE.name,] = [time.monotonic() - oldest]
        return total

    def _add_up_ended(self) -> None:
        """Add up for good what those had counted that have not come back."""
        for worker, since in [*self._disconnected.items()]:
            if since < time.monotonic() - SECONDS_TO_COME_BACK:
                del self._disconnected[worker]
                add(self._of_ended, self._latest.pop(worker)[1].counted)
                self._ended += 1


def _take_gauges(total: Cells, snapshot: Snapshot) -> None:
    """Take the gauges of a worker into those of all."""
    for key, value in snapshot.gauges:
        metric = METRICS.get(key[0])
        if isinstance(metric, Gauge) and metric.largest:
            total[key] = [max(value, *total.get(key, [value]))]
        else:
            add(total, [(key, [value])])


class Exposition(Collector):
    """The numbers in the words of prometheus_client, which knows how to write them."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the catalogue, those that nobody has counted, too."""
        cells: dict[str, list[Labelled]] = {name: [] for name in METRICS}
        for (name, *labels), cell in self._workers.numbers().items():
            if name in cells:  # during a roll-out another release may know others
                cells[name].append((tuple(labels), cell))
        for name, metric in METRICS.items():
            yield _family(metric, cells[name])


def _family(metric: Counter | Histogram | Gauge, cells: list[Labelled]) -> Metric:
    if isinstance(metric, Histogram):
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, cell in cells:
            histogram.add_metric(labels, _buckets(metric, cell), cell[-1])
        return histogram
    kind = CounterMetricFamily if isinstance(metric, Counter) else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    # A counter without labels begins at 0, so that its first increase is seen.
    for labels, [value] in cells or ([] if metric.labels else [((), [0.0])]):
        family.add_metric(labels, value)
    return family


def _buckets(metric: Histogram, cell: Cell) -> list[tuple[str, float]]:
    """Return the bounds and how many values were at most as large."""
    below, buckets = 0.0, []
    for bound, number in zip([*map(str, map(float, metric.bounds)), "+Inf"], cell, strict=False):
        below += number
        buckets.append((bound, below))
    return buckets


class _Connection(socketserver.StreamRequestHandler):
    """A worker's: a snapshot in each line, until it ends."""

    server: "Listener"
    worker: str | None = None

    def handle(self) -> None:
        try:
            for line in self.rfile:
                if line.endswith(b"\n"):
                    snapshot = _decode(line)
                    self.worker = snapshot.worker
                    self.server.workers.update(snapshot)
        except (OSError, msgspec.MsgspecError):
            return

    def finish(self) -> None:
        if self.worker:
            self.server.workers.disconnect(self.worker)
        super().finish()


class Listener(socketserver.ThreadingUnixStreamServer):
    """Where workers send their snapshots."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, path: Path, workers: Workers) -> None:
        self.workers = workers
        path.unlink(missing_ok=True)  # of an exporter that died
        super().__init__(str(path), _Connection)

    def handle_error(self, *_: Any) -> None:
        """Say nothing: the worker connects anew."""


def serve(workers: Workers, *, host: str, port: int) -> None:
    """Answer for the workers; where another program listens, try again until it ends."""
    registry = CollectorRegistry()
    registry.register(Exposition(workers))
    while True:
        try:
            start_http_server(port, host, registry)
        except OSError:
            time.sleep(SECONDS_BETWEEN_TRIES)
        else:
            return
