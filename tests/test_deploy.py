"""The files of deploy/ fit the service and are what the tools that read them want; test_metrics.py has Prometheus'."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PROJECT

UNIT = PROJECT / "deploy/systemd/player-sessions.service"
# What "systemd-analyze security" calls a service that is exposed begins at 4 to 5.
MOST_EXPOSURE = 3.0


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if not found:
        pytest.skip("no systemd here")
    return found


def test_systemd_understands_the_unit(systemd_analyze: str, tmp_path: Path) -> None:
    """With this Python and this folder in place of those that it names."""
    unit = UNIT.read_text().replace("/opt/player-sessions/.venv/bin/python", sys.executable)
    (tmp_path / UNIT.name).write_text(unit.replace("/opt/player-sessions", str(PROJECT)))
    ended = subprocess.run(
        [systemd_analyze, "verify", "--man=no", str(tmp_path / UNIT.name)], capture_output=True, text=True, check=False
    )
    ours = [line for line in ended.stderr.splitlines() if UNIT.name in line]
    assert (ended.returncode, ours) == (0, [])


def test_the_unit_leaves_little_that_an_intruder_could_do(systemd_analyze: str) -> None:
    ended = subprocess.run(
        [systemd_analyze, "security", "--offline=yes", str(UNIT)], capture_output=True, text=True, check=False
    )
    [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", ended.stdout)
    assert float(exposure) < MOST_EXPOSURE


def test_the_unit_gives_the_workers_time_to_end() -> None:
    server = (PROJECT / "sessions_project/__main__.py").read_text()
    [seconds] = re.findall(r"TimeoutStopSec=(\d+)", UNIT.read_text())
    assert int(seconds) > int(re.search(r"--workers-kill-timeout=(\d+)", server)[1])
    assert "ExecStart=/opt/player-sessions/.venv/bin/python -m sessions_project\n" in UNIT.read_text()
