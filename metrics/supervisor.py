"""Keeps an exporter running beside the server, and starts another one when it ends."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

# One that cannot run is not started again and again without a pause.
SECONDS_BETWEEN_STARTS = 1.0
# Held while an exporter is started, so that the server forks no worker then. A worker would keep open the pipe over
# which subprocess learns that the program runs, and the supervisor would wait for the end of that worker.
_starting = threading.Lock()
os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_starting.release)


def new_socket() -> Path:
    """Return where an exporter may listen: in a folder that only this user can enter; the exporter removes it."""
    return Path(tempfile.mkdtemp(prefix="player-sessions-")) / "metrics"


def start(*, host: str, port: int, path: Path) -> None:
    """Begin, in a thread of this process; the exporter ends with the process and all that it has forked."""
    threading.Thread(target=_run, args=(host, port, path), name="exporter", daemon=True).start()


def _run(host: str, port: int, path: Path) -> None:
    command = [sys.executable, "-m", "metrics", host, str(port), str(path)]
    while True:
        with _starting:
            exporter = subprocess.Popen(command, stdin=subprocess.PIPE)
        with exporter:
            exporter.wait()
        time.sleep(SECONDS_BETWEEN_STARTS)
