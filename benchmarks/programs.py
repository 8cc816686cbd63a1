"""The programs that are compared, and how each is started."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from embedded.cassandra import CassandraNode
from embedded.process import port_is_taken

PROJECT = Path(__file__).resolve().parent.parent
OURS = Path(sys.executable).parent
# Flask, FastAPI and their servers have an environment of their own.
THEIRS = PROJECT / ".venv-bench" / "bin"
WORKERS, THREADS = 2, 4
START_SECONDS = 60

GTHREAD = f"gunicorn --workers={WORKERS} --worker-class=gthread --log-level=warning --bind=127.0.0.1:{{port}}"
UVICORN = f"uvicorn --workers={WORKERS} --log-level=warning --no-access-log --port={{port}}"


def granian(application: str, *, threads: int = THREADS, workers: int = WORKERS) -> str:
    """The command that serves a WSGI application with the service's server."""
    options = f"--interface=wsgi --workers={workers} --blocking-threads={threads} --no-ws --log-level=warning"
    return f"granian {options} --port={{port}} {application}"


@dataclass(frozen=True)
class Program:
    """One web server with one application. ``command`` is relative to ``folder``, the scripts of an environment."""

    name: str
    what: str
    command: str
    folder: Path = OURS
    environment: Mapping[str, str] = field(default_factory=dict)


OURS_SHIPPED = Program("ours", "as shipped", "python -m sessions_project", environment={"WEB_WORKERS": str(WORKERS)})


# Every report is built: what it costs is measured, not the cache.
OURS_UNCACHED = Program(
    "ours",
    "without a cache of reports",
    OURS_SHIPPED.command,
    environment={**OURS_SHIPPED.environment, "REPORT_CACHE_SECONDS": "0"},
)


class RunningProgram:
    """A started program: its address, its CPU time, its end."""

    def __init__(self, program: Program, *, keyspace: str) -> None:
        self.program, self.keyspace = program, keyspace
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        ours = {"CASSANDRA_KEYSPACE": keyspace, "PORT": str(port), "PYTHONPATH": str(PROJECT)}
        environment = environment_with(**{**ours, **program.environment})
        script, *arguments = program.command.format(port=port).split()
        self._process = psutil.Popen(
            [str(program.folder / script), *arguments],
            env=environment,
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
        )
        self._wait(port)

    def cpu_seconds(self) -> float:
        """User and system time of all its processes until now."""
        return sum(_cpu(process) for process in [self._process, *self._process.children(recursive=True)])

    def megabytes(self) -> float:
        """Resident memory of all its processes now."""
        processes = [self._process, *self._process.children(recursive=True)]
        return float(sum(process.memory_info().rss for process in processes)) / 1e6

    def megabytes_of_workers(self) -> float:
        """Resident memory of the processes that it has started."""
        return float(sum(process.memory_info().rss for process in self._process.children(recursive=True))) / 1e6

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(START_SECONDS)

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not port_is_taken(("127.0.0.1", port)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.program.name} did not start: {self.program.command}")
            time.sleep(0.1)


@contextmanager
def started(program: Program, *, keyspace: str) -> Iterator[RunningProgram]:
    """The program while it is needed."""
    running = RunningProgram(program, keyspace=keyspace)
    try:
        yield running
    finally:
        running.stop()


class Listener:
    """The program that listens on a port of this machine: Cassandra, when it runs here."""

    def __init__(self, port: int) -> None:
        listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        found = [one.pid for one in listening if tuple(one.laddr)[1] == port]
        self._process = psutil.Process(found[0]) if found and found[0] else None

    def cpu_seconds(self) -> float:
        """Its user and system time until now; 0 when it runs elsewhere."""
        return _cpu(self._process) if self._process else 0.0


def environment_with(**variables: str) -> dict[str, str]:
    """This process's environment, with these."""
    return {**os.environ, **variables}


def cpu_of_children() -> float:
    """User and system time of all child processes that have ended and were waited for, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu_of_nodes(nodes: Iterable[CassandraNode]) -> float:
    """User and system time of these nodes of a ring until now."""
    return sum(_cpu(process) for node in nodes if (process := node.process()))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
