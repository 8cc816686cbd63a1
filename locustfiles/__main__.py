"""``python -m locustfiles``: latency.py without its page; HOST, PORT and LOAD_…, also from ``.env``, change it."""

import os
import sys
from pathlib import Path

import environ

PROJECT = Path(__file__).resolve().parent.parent
# The share of the time over which the users come, one after the other: the plots show latency against load.
RAMP = 0.5


def main() -> None:
    """Become the locust process: its exit status is ours."""
    environ.Env.read_env(PROJECT / ".env")
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    users, seconds = _number("LOAD_USERS", default=20), _number("LOAD_SECONDS", default=60)
    report = Path(os.environ.get("LOAD_REPORT") or ".data/load.html")
    report.parent.mkdir(parents=True, exist_ok=True)
    locust = Path(sys.executable).with_name("locust")
    command = [
        str(locust),
        f"--locustfile={Path(__file__).with_name('latency.py')}",
        f"--host=http://{f'[{host}]' if ':' in host else host}:{port}",
        f"--users={users}",
        f"--spawn-rate={users / (seconds * RAMP)}",
        f"--run-time={seconds}s",
        f"--html={report}",
        "--headless",
        "--only-summary",
        "--loglevel=WARNING",
        *sys.argv[1:],
    ]
    os.execv(locust, command)


def _number(name: str, *, default: int) -> int:
    given = os.environ.get(name) or str(default)
    if not given.isdecimal() or int(given) < 1:
        sys.exit(f"{name} is {given!r}: write a whole number, at least 1.")
    return int(given)


if __name__ == "__main__":
    main()
