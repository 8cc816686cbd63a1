"""An engine, the image, and stacks of docker/; figures for docs/how-to/deploy.md."""

import inspect
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import PROJECT
from tests.faults import promises

CLIENT = Path(__file__).with_name("client.py").read_text()
IMAGE = "player-sessions"
START_SECONDS = 900
_rows = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session", autouse=True)
def store() -> None:
    """Instead of the other tests' store: these have their own."""


def run(*words: str, check: bool = True, seconds: float = START_SECONDS, **options: Any) -> str:
    """What a command of the engine prints."""
    ended = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=seconds, check=False, **options)
    assert not check or ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where none answers; DOCKER_HOST names another than this machine's."""
    if not shutil.which("docker"):
        pytest.skip("no docker on the PATH")
    for command in (("docker", "version"), ("docker", "compose", "version")):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            pytest.skip(f"'{' '.join(command)}' fails: {ended.stderr.strip()}")


@pytest.fixture(scope="session")
def image(engine: None) -> float:
    """How many seconds the build took."""
    began = time.monotonic()
    run("docker", "compose", "-f", "docker/compose.yaml", "build", "web")
    return time.monotonic() - began


class Stack:
    """A compose file that was started, under a name of its own."""

    def __init__(self, file: str, **environment: str) -> None:
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.file = f"docker/{file}"
        self.environment = {**os.environ, "PORT": "0", "SECRET_KEY": "x" * 50, "KEY": "", **environment}

    def compose(self, *words: str, **options: Any) -> str:
        command = ("docker", "compose", "-p", self.name, "-f", self.file, *words)
        return run(*command, **{"env": self.environment, **options})

    def start_client(self, *words: str) -> "subprocess.Popen[str]":
        """The client, in a container beside the service."""
        run_beside = ("run", "--rm", "-T", "--no-deps", "--env", "KEY", "web")
        return subprocess.Popen(
            ["docker", "compose", "-p", self.name, "-f", self.file, *run_beside, "python", "-c", CLIENT, *words],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def client(self, *words: str, seconds: float = 300) -> dict[str, Any]:
        """What the client has seen."""
        output, _ = self.start_client(*words).communicate(timeout=seconds)
        return json.loads(output.splitlines()[-1])

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--all", "--quiet", service).split()

    def inspect(self, container: str) -> dict[str, Any]:
        return json.loads(run("docker", "inspect", container))[0]

    def python(self, service: str, code: str) -> str:
        """What Python prints in a container that runs."""
        return self.compose("exec", "-T", service, "python", "-c", code)

    def wait_until(self, url: str, *, seconds: float) -> float:
        """Seconds until an address answers with 200."""
        began = time.monotonic()
        while self.client("get", url)["status"] != 200:
            assert time.monotonic() < began + seconds, self.compose("logs", "--tail", "20")
        return time.monotonic() - began

    def of_prometheus(self, what: str) -> dict[str, Any]:
        """An answer of Prometheus' own API."""
        return json.loads(self.client("get", f"http://prometheus:9090/api/v1/{what}")["body"])["data"]

    def scraped(self, number: int) -> list[dict[str, Any]]:
        """What Prometheus reads from, once it is so many and all answer."""
        self.wait_until("http://prometheus:9090/-/ready", seconds=120)
        deadline = time.monotonic() + 120
        found = self.of_prometheus("targets")["activeTargets"]
        while [one["health"] for one in found] != ["up"] * number:
            assert time.monotonic() < deadline, found
            time.sleep(2)
            found = self.of_prometheus("targets")["activeTargets"]
        return found

    def make_key(self) -> None:
        """One for the clients, without a limit: the files ask for keys."""
        scopes = ("--scope", "events:write", "--scope", "reports:read", "--events-per-second", "0")
        make = ("python", "manage.py", "api_keys", "create", "--name", "tests", *scopes)
        self.environment["KEY"] = self.compose("exec", "-T", "web", *make).split()[0]
        time.sleep(4)  # every process of the service knows of it within three seconds

    def remove(self) -> None:
        self.compose("--profile", "observe", "down", "--volumes", "--timeout", "5", check=False)


def started(file: str, **environment: str) -> Iterator[Stack]:
    stack = Stack(file, **environment)
    try:
        began = time.monotonic()
        stack.compose("up", "--detach", "--wait", "--wait-timeout", str(START_SECONDS))
        stack.seconds_to_start = time.monotonic() - began
        stack.make_key()
    except AssertionError as error:  # why it did not start is in the logs, which end with the stack
        error.add_note(stack.compose("logs", "--tail", "40", check=False))
        stack.remove()
        raise
    try:
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def one_node(image: float) -> Iterator[Stack]:
    yield from started("compose.yaml")


@pytest.fixture(scope="module")
def cluster(image: float) -> Iterator[Stack]:
    yield from started("compose.cluster.yaml", SUBNET="172.28.78")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tells what was measured: the last column of this test's row in docs/how-to/deploy.md."""

    def tell(measured: str) -> None:
        print(f"\n{request.node.name}: {measured}")
        rows = request.config.stash.setdefault(_rows, {})
        docstring = inspect.getdoc(request.function) or ""
        rows[request.node.name] = promises.row(test=request.node.name, docstring=docstring, figure=measured)

    return tell


def pytest_sessionfinish(session: pytest.Session) -> None:
    """WRITE_RELIABILITY=1: the figures of this run go to the page."""
    rows = session.config.stash.get(_rows, {})
    if rows and os.environ.get("WRITE_RELIABILITY"):
        promises.write_table(PROJECT / "docs/how-to/deploy.md", rows)
