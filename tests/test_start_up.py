"""What the server says when it starts: one block of what it found, and nothing else."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings

from conftest import PROJECT, free_port
from sessions_project import __version__

Started = Callable[..., subprocess.Popen[Any]]


def said(start_process: Started, **environment: str) -> tuple[list[str], str]:
    """The lines of standard output, and standard error, of a service that has started, served and ended."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    server = start_process(
        [sys.executable, "-m", "sessions_project"],
        env={**inherited, "PORT": str(port), "WEB_WORKERS": "1", "METRICS_PORT": "0", **environment},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until_alive(port)
    server.send_signal(signal.SIGTERM)
    output, errors = server.communicate(timeout=20)
    return output.replace(str(port), "PORT").splitlines(), errors


def wait_until_alive(port: int) -> None:
    give_up_at = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1).close()
        except OSError:
            assert time.monotonic() < give_up_at, "the service did not start"
            time.sleep(0.1)
        else:
            return


def test_workers_that_are_still_loading_stop_when_they_are_told_to(start_process: Started) -> None:
    """Neither do they miss it nor are they killed, whenever it comes."""
    for seconds in (0.3, 0.6, 0.9, 1.2):
        server = start_process(
            [sys.executable, "-m", "sessions_project"],
            env={**os.environ, "PORT": str(free_port()), "WEB_WORKERS": "2", "METRICS_PORT": "0"},
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.stdout
        while server.stdout.readline().strip() != "metrics  off":
            assert server.poll() is None
        time.sleep(seconds)
        server.send_signal(signal.SIGTERM)
        output, errors = server.communicate(timeout=30)
        assert "Killing" not in output + errors
        assert server.returncode in (0, -signal.SIGTERM)  # the latter before it has started a worker


def test_the_server_says_what_it_found_and_nothing_else(start_process: Started) -> None:
    lines, errors = said(start_process)
    store = f"Cassandra at {settings.CASSANDRA_HOSTS[0]}:{settings.CASSANDRA_PORT}"
    assert lines[:3] == [
        f"Player sessions {__version__}, development (Ctrl-C stops)",
        "  address  http://127.0.0.1:PORT/ (WEB_WORKERS 1, WEB_THREADS 16)",
        f"  store    {store}, keyspace {settings.CASSANDRA_KEYSPACE}: ready",
    ]
    assert lines[3].startswith("  cache    Redis at ")
    assert lines[3].endswith(": ready")
    assert lines[4:] == ["  keys     none is asked for", "  metrics  off"]
    assert errors == ""


def test_the_server_says_where_metrics_are(start_process: Started) -> None:
    lines, errors = said(start_process, METRICS_PORT=str(port := free_port()))
    assert (lines[5:], errors) == ([f"  metrics  http://127.0.0.1:{port}/metrics"], "")
    with socket.create_server(("127.0.0.1", port)):
        lines, errors = said(start_process, METRICS_PORT=str(port))
    [line] = lines[5:]
    assert line.startswith(f"  metrics  not at http://127.0.0.1:{port}/metrics yet: Address already in use")
    assert errors == ""


def test_the_server_says_what_is_missing_and_no_secret(start_process: Started) -> None:
    lines, errors = said(
        start_process,
        CASSANDRA_KEYSPACE="nobody_has_made",
        REDIS_URL=f"redis://:secret@127.0.0.1:{free_port()}/0",
    )
    [store, cache] = [line for line in lines if line.startswith(("  store", "  cache"))]
    assert "run 'manage.py sync_cassandra'" in store
    assert cache.endswith("does not answer; reports are not cached until it does")
    assert "secret" not in "".join(lines) + errors


def test_the_server_says_that_cassandra_does_not_answer(start_process: Started) -> None:
    port = free_port()
    lines, errors = said(start_process, CASSANDRA_PORT=str(port))
    assert f"  store    Cassandra at {settings.CASSANDRA_HOSTS[0]}:{port}" in lines[2]
    assert lines[2].endswith("does not answer")
    assert "Serving without Cassandra" in errors
