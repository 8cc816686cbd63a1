"""A process that cannot connect tries again and again: it says why, and leaves nothing of the attempts that failed."""

import json
import os
import subprocess
import sys

from conftest import PROJECT

ATTEMPTS = 4
SCRIPT = f"""
import json, threading
import django, psutil
django.setup()
from store import cassandra
from store.errors import StoreUnavailable
cassandra.CONNECT_PAUSE_SECONDS = 0
for _ in range({ATTEMPTS}):
    try:
        cassandra.connect()
    except StoreUnavailable:
        for one in set(threading.enumerate()) - {{threading.main_thread()}}:
            one.join(0.2)
        print(json.dumps([threading.active_count(), len(psutil.Process().net_connections())]))
"""


def test_attempts_to_connect_to_another_data_centre_leave_no_threads_and_no_sockets() -> None:
    environment = {**os.environ, "CASSANDRA_LOCAL_DATACENTER": "elsewhere"}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    left = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(left) == ATTEMPTS
    for first, last in zip(left[0], left[-1], strict=True):
        assert last < first + ATTEMPTS - 1, left  # the last threads of an attempt may still be ending
    assert "CASSANDRA_LOCAL_DATACENTER is elsewhere" in ended.stderr
