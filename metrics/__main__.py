"""``python -m metrics HOST PORT SOCKET``: the exporter, which ``python -m sessions_project`` starts."""

import signal
import sys
import threading
from pathlib import Path

from metrics.exporter import Listener, Workers, serve


def main() -> None:
    """Serve until standard input ends: signals that end the service's workers leave it time to tell of it."""
    host, port, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    workers = Workers()
    listener = Listener(path, workers)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    threading.Thread(target=serve, args=(workers,), kwargs={"host": host, "port": port}, daemon=True).start()
    sys.stdin.buffer.read()
    path.unlink()
    path.parent.rmdir()


if __name__ == "__main__":
    main()
