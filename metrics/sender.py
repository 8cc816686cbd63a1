"""Sends the exporter a snapshot of what this worker has counted, once a second: a line of JSON over a Unix socket.

The socket closes when the worker ends, however it ends: so the exporter learns of it. What was counted since the last
line is lost then.
"""

import logging
import os
import platform
import resource
import socket
import threading
import time
import uuid

import msgspec

from metrics.catalogue import BUILD_INFO, METRICS, WORKER_CPU, WORKER_MEMORY
from metrics.cells import Cell, Key, thread, totals
from metrics.kinds import Gauge, readers

log = logging.getLogger(__name__)

# Where the exporter listens; only ``python -m sessions_project`` sets it.
SOCKET_VARIABLE = "PLAYER_SESSIONS_METRICS_SOCKET"
SECONDS_BETWEEN_SNAPSHOTS = 1.0
# A line that the exporter does not take for so long is given up, and the next one goes over a new connection.
SEND_SECONDS = 5.0
# Of getrusage.
BYTES_PER_UNIT_OF_MEMORY = 1 if platform.system() == "Darwin" else 1024


class Snapshot(msgspec.Struct):
    """All numbers of a worker: what it has counted since it began, and its gauges as they are.

    ``worker`` names it, over all of its connections.
    """

    worker: str
    counted: list[tuple[Key, Cell]]
    gauges: list[tuple[Key, float]]


def start(*, version: str) -> None:
    """Begin, in a thread of this process; does nothing where no exporter was started."""
    if path := os.environ.get(SOCKET_VARIABLE):
        # Nobody has asked for anything yet: what this thread has counted comes of the start itself.
        thread.cells.clear()
        BUILD_INFO.is_read_by(lambda: 1, version, platform.python_version())
        WORKER_CPU.is_read_by(lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        WORKER_MEMORY.is_read_by(_memory)
        threading.Thread(target=_run, args=(path, uuid.uuid4().hex), name="metrics", daemon=True).start()


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT_OF_MEMORY


def snapshot(worker: str) -> Snapshot:
    """Return the numbers of this process, which is the worker of that name."""
    counted = [*totals().items()]
    gauges = []
    for key, read in readers.items():
        if isinstance(METRICS[key[0]], Gauge):
            gauges.append((key, float(read())))
        else:
            counted.append((key, [float(read())]))
    return Snapshot(worker, counted, gauges)


def _run(path: str, worker: str) -> None:
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(SEND_SECONDS)
                connection.connect(path)
                while True:
                    connection.sendall(msgspec.json.encode(snapshot(worker)) + b"\n")
                    time.sleep(SECONDS_BETWEEN_SNAPSHOTS)
        except OSError as error:
            log.debug("The exporter does not take what was counted: %s", error)
        except Exception:
            log.exception("The snapshot of the metrics cannot be sent")
        time.sleep(SECONDS_BETWEEN_SNAPSHOTS)
