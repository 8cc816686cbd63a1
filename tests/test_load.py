"""The verdict of ``make load``."""

import os
import subprocess
import sys

import pytest

from conftest import PROJECT, free_port

# In a process of its own: locust changes the sockets and threads of the one that imports it.
JUDGE = """
import json, sys
from locust.env import Environment
from locustfiles.latency import judge

environment = Environment()
for name, milliseconds, fails in json.loads(sys.argv[1]):
    environment.stats.log_request("GET", name, milliseconds, 0)
    if fails:
        environment.stats.log_error("GET", name, "503")
judge(environment)
sys.exit(environment.process_exit_code)
"""
KEPT, BROKEN = 0, 1
QUICK, SLOW = '["quick", 20, false]', '["slow", 600, false]'


@pytest.mark.parametrize(
    ("requests", "verdict"),
    [
        ([QUICK] * 19 + [SLOW.replace("slow", "quick")], KEPT),
        ([QUICK] * 8 + [SLOW.replace("slow", "quick")] * 2, BROKEN),
        ([QUICK] * 90 + [SLOW], BROKEN),  # every address by itself
        ([QUICK] * 99 + [QUICK.replace("false", "true")], BROKEN),
        ([], BROKEN),
    ],
)
def test_nine_of_ten_replies_of_every_address_are_quick_and_none_fails(requests: list[str], verdict: int) -> None:
    told = subprocess.run(
        [sys.executable, "-c", JUDGE, f"[{','.join(requests)}]"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == verdict, told.stderr
    assert ("Kept: " if verdict == KEPT else "BROKEN: ") in told.stdout


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many"])
@pytest.mark.parametrize("name", ["LOAD_USERS", "LOAD_SECONDS"])
def test_a_wrong_number_is_told(name: str, number: str) -> None:
    command = [sys.executable, "-m", "locustfiles"]
    told = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, name: number}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (told.returncode, told.stderr) == (1, f"{name} is '{number}': write a whole number, at least 1.\n")


def test_a_service_that_is_not_there_breaks_the_promise(tmp_path) -> None:
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "LOAD_SECONDS": "2",
        "LOAD_USERS": "2",
        "LOAD_REPORT": str(tmp_path / "load.html"),
    }
    told = subprocess.run(
        [sys.executable, "-m", "locustfiles"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == BROKEN
    assert "BROKEN: " in told.stdout
    assert "<html" in (tmp_path / "load.html").read_text()
