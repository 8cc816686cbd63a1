"""Keeps an exporter running beside the server, and starts another one when it ends."""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

# One that cannot run is not started again and again without a pause.
SECONDS_BETWEEN_STARTS = 1.0


def new_socket() -> Path:
    """Return where an exporter may listen: in a folder that only this user can enter; the exporter removes it."""
    return Path(tempfile.mkdtemp(prefix="player-sessions-")) / "metrics"


def start(*, host: str, port: int, path: Path) -> None:
    """Begin, in a thread of this process; the exporter ends with the process and all that it has forked."""
    threading.Thread(target=_run, args=(host, port, path), name="exporter", daemon=True).start()


def _run(host: str, port: int, path: Path) -> None:
    command = [sys.executable, "-m", "metrics", host, str(port), str(path)]
    while True:
        with subprocess.Popen(command, stdin=subprocess.PIPE) as exporter:
            exporter.wait()
        time.sleep(SECONDS_BETWEEN_STARTS)
