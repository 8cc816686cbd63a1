"""Runs wrk, which costs a fraction of any Python client, and reads what it tells."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import cpu_of_children

SCRIPT = Path(__file__).with_name("load.lua")
# One thread sends ten times what two cores can store.
THREADS = 1
# Enough to keep two workers busy while replies are on their way; more would only wait in queues.
CONNECTIONS = 24
TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. ``sent`` may exceed ``answered``: the end cuts off the requests in flight."""

    sent: int
    answered: int
    refused: int
    broken: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cpu_seconds: float

    @property
    def accepted(self) -> int:
        """Replies with a status below 400."""
        return self.answered - self.refused

    @property
    def rate(self) -> float:
        """Accepted requests per second."""
        return self.accepted / self.seconds


def require_wrk() -> None:
    """End the program with what to install when wrk is missing."""
    if shutil.which("wrk") is None:
        sys.exit("The benchmarks load the service with wrk. Install it (Debian, Ubuntu: apt-get install wrk).")


def run_wrk(
    url: str, script_arguments: Sequence[str], *, seconds: float, connections: int = CONNECTIONS, think_ms: float = 0
) -> Load:
    """Load ``url`` for whole ``seconds``; with ``think_ms`` each connection pauses about so long between requests."""
    command = ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds:.0f}s", f"--timeout={TIMEOUT_SECONDS}s"]
    command += ["-s", str(SCRIPT), url, "--", f"{think_ms:.2f}", *script_arguments]
    before = cpu_of_children()
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Load(**json.loads(output.strip().splitlines()[-1]), cpu_seconds=cpu_of_children() - before)
