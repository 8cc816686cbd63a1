"""The verdict of ``make load``."""

import json
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
# An address, milliseconds, and whether the reply was a failure.
QUICK, SLOW, FAILED, SLOW_ELSEWHERE = ("/", 20, False), ("/", 600, False), ("/", 20, True), ("/elsewhere", 600, False)


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("requests", "verdict"),
    [
        ([QUICK] * 19 + [SLOW], KEPT),
        ([QUICK] * 8 + [SLOW] * 2, BROKEN),
        ([QUICK] * 90 + [SLOW_ELSEWHERE], BROKEN),  # every address by itself
        ([QUICK] * 99 + [FAILED], BROKEN),
        ([], BROKEN),
    ],
)
def test_nine_of_ten_replies_of_every_address_are_quick_and_none_fails(
    requests: list[tuple[str, int, bool]], verdict: int
) -> None:
    told = python("-c", JUDGE, json.dumps(requests))
    assert told.returncode == verdict, told.stderr
    assert ("Kept: " if verdict == KEPT else "BROKEN: ") in told.stdout


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many"])
@pytest.mark.parametrize("name", ["LOAD_USERS", "LOAD_SECONDS"])
def test_a_wrong_number_is_told(name: str, number: str) -> None:
    told = python("-m", "locustfiles", **{name: number})
    assert (told.returncode, told.stderr) == (1, f"{name} is '{number}': write a whole number, at least 1.\n")


def test_a_service_that_is_not_there_breaks_the_promise(tmp_path) -> None:
    report = tmp_path / "load.html"
    told = python(
        "-m",
        "locustfiles",
        HOST="127.0.0.1",
        PORT=str(free_port()),
        LOAD_SECONDS="2",
        LOAD_USERS="2",
        LOAD_REPORT=str(report),
    )
    assert told.returncode == BROKEN
    assert "BROKEN: " in told.stdout
    assert "<html" in report.read_text()
