"""``python -m embedded up | down | status | exec -- COMMAND``: see ``--help``."""

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import environ

from embedded.cassandra import CassandraNode, ring, start_ring
from embedded.in_use import InUse
from embedded.process import Daemon, EmbeddedError
from embedded.redis import READY_SECONDS as REDIS_READY_SECONDS
from embedded.redis import RedisServer

PROJECT = Path(__file__).resolve().parent.parent
MOST_NODES = 9


def main() -> int:
    """Run one command; the exit status is 0, 1 for an error with its message, 128 + signal, or the command's."""
    environ.Env.read_env(PROJECT / ".env")
    try:
        arguments = parser().parse_args()
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130
    except EmbeddedError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    whole.add_argument("--data", type=_absolute, default=PROJECT / ".data", help="folder of all files (default: .data)")
    whole.add_argument(
        "--port", type=int, default=os.environ.get("CASSANDRA_PORT") or "9042", help="CQL port (default: 9042)"
    )
    whole.add_argument("--redis-port", type=int, default=_redis_port(), help="Redis port (default: 6379)")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start Cassandra and Redis and stay until Ctrl-C; a second 'up' finds them")
    up.add_argument(
        "--nodes", type=int, default=1, choices=range(1, MOST_NODES + 1), metavar="N", help="size of the ring"
    )
    up.add_argument("--detach", action="store_true", help="return once they answer and leave them running")
    up.set_defaults(run=run_up)
    commands.add_parser("down", help="stop what 'up' started").set_defaults(run=run_down)
    commands.add_parser("status", help="say what runs").set_defaults(run=run_status)
    execute = commands.add_parser(
        "exec", help="run a command beside the stack; the last such command stops what was started for them"
    )
    execute.add_argument("command", nargs=argparse.REMAINDER)
    execute.set_defaults(run=run_exec, nodes=1)
    return whole


def _absolute(text: str) -> Path:
    return Path(text).resolve()


def run_up(arguments: argparse.Namespace) -> int:
    InUse(arguments.data).forget()
    started = start_missing(arguments, skip_given=False)
    if arguments.detach:
        return 0
    if not started:
        print("Everything runs already.")
        return 0
    try:
        print("Ctrl-C stops it.", flush=True)
        _wait_for_signal()
    finally:
        stop(started)
    return 0


def run_down(arguments: argparse.Namespace) -> int:
    InUse(arguments.data).forget()
    if not stop(everything(arguments)):
        print("Nothing was running.")
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    for daemon in everything(arguments):
        process = daemon.process()
        state = "not running" if process is None else "answers" if daemon.answers() else "does not answer"
        print(f"{daemon}: {state}" + (f" (process {process.pid})" if process else ""))
    return 0


def run_exec(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise EmbeddedError("Name the command: python -m embedded exec -- COMMAND")
    in_use = InUse(arguments.data)
    in_use.begin()
    started: list[Daemon] = []
    try:
        started = start_missing(arguments, skip_given=True)
        # Ctrl-C reaches the command from the terminal, and it decides when it is done; we clean up after it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            child = subprocess.Popen(
                command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
            )
        except OSError as error:
            raise EmbeddedError(f"{command[0]} cannot be run: {error.strerror}.") from error
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        status = child.wait()
        return status if status >= 0 else 128 - status
    finally:
        to_stop = in_use.end(daemon.name for daemon in started)
        if started and not to_stop:
            print("Another command uses what was started: it stays.", flush=True)
        stop([daemon for daemon in everything(arguments) if daemon.name in to_stop])


def start_missing(arguments: argparse.Namespace, *, skip_given: bool) -> list[Daemon]:
    """Start what does not run yet, wait until all answer, and return what was started.

    With ``skip_given``, a store that CASSANDRA_HOSTS or REDIS_URL names is taken as it is.
    When one fails to start, those started before it are stopped again.
    """
    nodes: list[CassandraNode] = []
    if not (skip_given and os.environ.get("CASSANDRA_HOSTS")):
        nodes = ring(folder=arguments.data, nodes=arguments.nodes, port=arguments.port)
    redis_server = None
    if not (skip_given and os.environ.get("REDIS_URL")):
        redis_server = RedisServer(folder=arguments.data, port=arguments.redis_port)
    wanted: list[Daemon] = [*nodes, *([redis_server] if redis_server else [])]
    for daemon in wanted:
        daemon.wait_if_ending()
    missing = [daemon for daemon in wanted if daemon.process() is None]
    for daemon in missing:
        print(f"Starting {daemon} ...", flush=True)
    try:
        if redis_server:
            redis_server.start()
            redis_server.wait_until_ready(seconds=REDIS_READY_SECONDS)
        start_ring(nodes)
    except BaseException:
        # A second signal must not leave half of them running.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stop([daemon for daemon in missing if daemon.was_launched_here])
        raise
    return [daemon for daemon in missing if daemon.was_launched_here]


def stop(daemons: list[Daemon]) -> bool:
    """Stop them, last started first; whether any was running."""
    stopped = False
    for daemon in reversed(daemons):
        if daemon.process() is not None:
            print(f"Stopping {daemon} ...", flush=True)
            stopped = daemon.stop() or stopped
    return stopped


def everything(arguments: argparse.Namespace) -> list[Daemon]:
    """Return every node that has a folder, and Redis."""
    numbers = sorted(int(folder.name.rpartition("-")[2]) for folder in arguments.data.glob("cassandra-?"))
    nodes = [CassandraNode(folder=arguments.data, number=number, port=arguments.port) for number in numbers or [1]]
    return [*nodes, RedisServer(folder=arguments.data, port=arguments.redis_port)]


def _redis_port() -> int:
    address = os.environ.get("REDIS_URL", "")
    try:
        return urlsplit(address).port or 6379
    except ValueError as error:
        raise EmbeddedError(f"REDIS_URL is {address!r}: {error}.") from error


def _wait_for_signal() -> None:
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    asked_to_stop.wait()


if __name__ == "__main__":
    sys.exit(main())
