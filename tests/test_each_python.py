"""A fresh copy of the project, from its first ``make`` on, with each supported Python that is on this machine.

``make test-pythons``. The Python that runs these tests is left out: ``make test`` tries it.
"""

import bz2
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from conftest import PROJECT, WebServer, free_port
from embedded.cassandra import free_cassandra_port

FINDER = PROJECT / "requirements" / "find-python.sh"
VERSIONS = re.search(r'^SUPPORTED="(.*)"$', FINDER.read_text(), re.MULTILINE)[1].split()
THIS_VERSION = "{}.{}".format(*sys.version_info)
# Where pyenv and uv keep Pythons that are not on the PATH.
KEPT = [Path(os.environ.get("PYENV_ROOT", "~/.pyenv")) / "versions", Path("~/.local/share/uv/python")]
# Of the make that runs these tests, and of their settings.
NOT_INHERITED = r"MAKE.*|MFLAGS|VIRTUAL_ENV|PYTHON.*|DJANGO_.*|CASSANDRA_.*"
EVENTS = 3000


@pytest.fixture(scope="session", autouse=True)
def store() -> None:
    """Instead of the other tests' store: each copy has one of its own."""


class Copy:
    """What a clone would hold, with the changes made here; its stores have ports of their own."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.python = folder / ".venv" / "bin" / "python"
        self.redis_port = free_port()
        inherited = {name: value for name, value in os.environ.items() if not re.fullmatch(NOT_INHERITED, name)}
        self.environment = {
            **inherited,
            "PYTHON": python,
            "CASSANDRA_PORT": str(free_cassandra_port()),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            # The tests' own settings have changed both.
            "CASSANDRA_KEYSPACE": "player_sessions",
            "REPORT_CACHE_SECONDS": "50",
        }
        files = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, files.split("\0")):
            if (PROJECT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, folder / name)

    def run(self, *command: str | Path) -> str:
        """What it prints."""
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def manage(self, *words: str) -> str:
        """What ``manage.py`` prints."""
        return self.run(self.python, "manage.py", *words)


def python_of(version: str) -> str:
    """The path of one that will do; the test is skipped when there is none."""
    kept = [str(path) for folder in KEPT for path in folder.expanduser().glob("*/bin")]
    ended = subprocess.run(
        ["sh", FINDER, f"python{version}"],
        env={**os.environ, "PATH": os.pathsep.join([*kept, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        pytest.skip(f"Python {version} is not on this machine: not tried")
    return ended.stdout.strip()


@pytest.fixture(params=[version for version in VERSIONS if version != THIS_VERSION])
def copy(request: pytest.FixtureRequest) -> Iterator[Copy]:
    """With the stack up, and its tables."""
    python = python_of(request.param)
    with tempfile.TemporaryDirectory() as folder:
        one = Copy(Path(folder), python)
        try:
            one.run("make", "up")
            assert one.run(one.python, "--version").startswith(f"Python {request.param}.")
            one.manage("sync_cassandra")
            yield one
        finally:
            one.run("make", "down")


def test_it_is_installed_stores_reports_and_imports(copy: Copy) -> None:
    web = WebServer(python=copy.python, folder=copy.folder, **copy.environment)
    try:
        assert_a_batch_is_reported(web)
        with redis.Redis(port=copy.redis_port) as cache:
            assert cache.dbsize() > 0
        assert_a_dump_is_counted(copy, web)
    finally:
        web.stop()


def ask(web: WebServer, path: str, body: object = None) -> str:
    """The body of the reply."""
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(web.url + path, data=sent, headers={"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=10).read().decode()


def assert_a_batch_is_reported(web: WebServer) -> None:
    """By every report, and the page and the API's own pages are there."""
    session = {"player_id": "ada", "session_id": str(uuid.uuid4())}
    batch = [{**session, "event": "start", "country": "FI"}, {**session, "event": "end"}]
    assert json.loads(ask(web, "/api/v1/events/", batch))["stored"] == 2
    for report in ("starts/", "starts/FI/", "starts/FI/?format=csv", "players/ada/sessions/"):
        assert session["session_id"] in ask(web, f"/api/v1/reports/{report}"), report
    assert json.loads(ask(web, "/api/v1/reports/starts/timeline/"))["total"] == 1
    for page in ("/", "/api/v1/docs/", "/api/v1/schema/?format=json"):
        assert ask(web, page), page


def assert_a_dump_is_counted(copy: Copy, web: WebServer) -> None:
    """Every start of it, beside the one that was sent."""
    copy.manage("generate_sessions", f"--events={EVENTS}", "--days=2", "--output=dump.jsonl.bz2")
    lines = bz2.decompress((copy.folder / "dump.jsonl.bz2").read_bytes()).splitlines()
    starts = [line for line in lines if json.loads(line)["event"] == "start"]
    assert json.loads(copy.manage("import_sessions", "dump.jsonl.bz2", "--json"))["stored"] == EVENTS
    # Another question than before: that one is cached.
    assert json.loads(ask(web, "/api/v1/reports/starts/?hours=72"))["total"] == len(starts) + 1
