"""A worker that is told to stop does so, whichever of its threads the signal comes to, and whenever.

Python runs the handler of a signal in the main thread, which Granian leaves waiting for a lock. On a busy machine the
signal may come to another thread, and nobody wakes the main one; a worker that is still loading has no handler of
Granian's yet. Both were killed after ten seconds, with the requests that they held. So a thread learns of the signal,
and sends it to the main thread again until the process has ended.
"""

import multiprocessing
import os
import signal
import socket
import threading
import time

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
SECONDS_BETWEEN_SIGNALS = 0.5
# How Granian names its processes. Other servers watch for signals themselves, and only one can do so.
WORKER = "granian-worker"


def watch_in_workers() -> None:
    """Have every worker that this process forks watch from its beginning."""
    os.register_at_fork(after_in_child=_watch)


def watch_if_worker() -> None:
    """Watch when this process is a worker that was not forked: this is the first that it runs of ours."""
    if multiprocessing.current_process().name == WORKER and multiprocessing.get_start_method() != "fork":
        _watch()


def _watch() -> None:
    """Begin, in a thread of this process. To be called from the main thread."""
    received, receiver = socket.socketpair()
    receiver.setblocking(False)
    signal.set_wakeup_fd(receiver.fileno(), warn_on_full_buffer=False)
    main_thread = threading.get_ident()
    threading.Thread(target=_run, args=(received, receiver, main_thread), name="signals", daemon=True).start()


def _run(received: socket.socket, _: socket.socket, main_thread: int) -> None:
    """Repeat a signal to stop; the other end of the socket is kept open."""
    while received.recv(1)[0] not in STOP_SIGNALS:
        pass
    while True:
        time.sleep(SECONDS_BETWEEN_SIGNALS)
        signal.pthread_kill(main_thread, signal.SIGTERM)
