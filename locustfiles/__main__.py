"""``python -m locustfiles``: latency.py without its page; HOST, PORT, LOAD_USERS and LOAD_SECONDS change it."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Become the locust process: its exit status is ours."""
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    locust = Path(sys.executable).with_name("locust")
    command = [
        str(locust),
        f"--locustfile={Path(__file__).with_name('latency.py')}",
        f"--host=http://{host}:{port}",
        f"--users={os.environ.get('LOAD_USERS') or '20'}",
        "--spawn-rate=10",
        f"--run-time={os.environ.get('LOAD_SECONDS') or '60'}s",
        "--headless",
        "--only-summary",
        "--loglevel=WARNING",
        *sys.argv[1:],
    ]
    os.execv(locust, command)


if __name__ == "__main__":
    main()
