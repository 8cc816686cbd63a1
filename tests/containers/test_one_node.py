"""The image, and docker/compose.yaml on an engine. 'make test-docker' runs it."""

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
import yaml

from conftest import PROJECT
from tests.containers.conftest import IMAGE, Stack, run

Figure = Callable[[str], None]
EVENTS, REPORT = "http://web:8000/api/v1/events/", "http://web:8000/by-country/NO/1"
# Of "docker stop" for a web container: its workers have 10 s.
STOP_SECONDS = 15
# The user of nobody's machine.
OTHER_USER = "12345:12345"


# --- The image --------------------------------------------------------------------------------------------------------


def test_the_image(image: float, figure: Figure) -> None:
    """The image holds what runs, and nothing to install with.

    Built once, for all services; `pip` and `setuptools` cannot be imported in it.
    """
    for module in ("pip", "setuptools"):
        said = run("docker", "run", "--rm", IMAGE, "python", "-c", f"import {module}", check=False)
        assert "ModuleNotFoundError" in said, said
    size = int(run("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE))
    figure(f"built in {image:.0f} s, {size / 1e6:.0f} MB with its base")


def test_a_container_that_does_not_serve_is_healthy(image: float) -> None:
    container = run("docker", "run", "--detach", IMAGE, "python", "-c", "import time; time.sleep(120)").strip()
    try:
        deadline = time.monotonic() + 60
        while (
            state := run("docker", "inspect", "--format", "{{.State.Health.Status}}", container).strip()
        ) != "healthy":
            assert time.monotonic() < deadline, state
            time.sleep(1)
    finally:
        run("docker", "rm", "--force", container)


def test_without_a_secret_key_the_service_says_so_in_a_line(engine: None, image: float) -> None:
    stack = Stack("compose.yaml", SECRET_KEY="")
    assert stack.compose("ps", "--quiet") == ""
    assert "player-sessions" in stack.compose("config", "--images")
    said = stack.compose("run", "--rm", "--no-deps", "web", check=False)
    stack.compose("down", "--volumes")
    assert "SECRET_KEY is not set. Write 50 random characters" in said
    assert "Traceback" not in said


@pytest.fixture
def environment_file() -> Iterator[None]:
    path = PROJECT / "docker/.env"
    if path.exists():
        pytest.skip("there is a docker/.env already")
    path.write_text("SECRET_KEY=of-the-file\n")
    yield
    path.unlink()


def test_the_file_beside_the_compose_file_is_read(engine: None, environment_file: None) -> None:
    plain = {name: value for name, value in os.environ.items() if name != "SECRET_KEY"}
    for file in ("compose.yaml", "compose.cluster.yaml"):
        command = ("docker", "compose", "-f", f"docker/{file}", "config", "--format", "json")
        web = json.loads(run(*command, env=plain))["services"]["web"]
        assert web["environment"]["SECRET_KEY"] == "of-the-file"


# --- One node ---------------------------------------------------------------------------------------------------------


def test_one_node_comes_up(one_node: Stack, figure: Figure) -> None:
    """`docker compose -f docker/compose.yaml up` leads to a service that stores and reports.

    From nothing to healthy; five seconds of load from a container beside it, then every session is read back.
    """
    seen = one_node.client("load", "http://web:8000", "5")
    assert seen["lost"] == 0
    assert set(seen["statuses"]) == {"201"}
    assert one_node.client("get", REPORT)["status"] == 200
    figure(f"healthy after {one_node.seconds_to_start:.0f} s; {seen['acknowledged']:,} sessions, none lost")


def test_the_service_may_do_little(one_node: Stack) -> None:
    [container] = one_node.containers("web")
    assert one_node.python("web", "import os; print(os.getuid(), os.getgid())").split() == ["10001", "10001"]
    assert "CapEff:\t0000000000000000" in one_node.python("web", "print(open('/proc/self/status').read())")
    assert "Read-only file system" in one_node.compose(
        "exec", "-T", "web", "python", "-c", "open('/app/x', 'w')", check=False
    )
    room = one_node.python("web", "import os; s = os.statvfs('/tmp'); print(s.f_blocks * s.f_frsize)")
    assert int(room) == 256 * 1024 * 1024
    host = one_node.inspect(container)["HostConfig"]
    assert host["Memory"] == 1024**3
    assert host["LogConfig"]["Config"] == {"max-file": "5", "max-size": "10m"}


def test_metrics_are_read_beside_the_service_and_not_published(one_node: Stack) -> None:
    body = one_node.client("get", "http://web:9464/metrics")["body"]
    assert re.search(r"^player_sessions_workers 2\.0$", body, re.MULTILINE)
    [container] = one_node.containers("web")
    assert {*one_node.inspect(container)["NetworkSettings"]["Ports"]} == {"8000/tcp"}


def test_an_import_as_another_user(one_node: Stack, figure: Figure) -> None:
    """A dump is imported by a container as another user, beside whom its rejects and its checkpoint are written.

    20,000 events and two lines that are none, in a volume that only that user may write to.
    """
    volume = f"dumps-{uuid.uuid4().hex[:8]}"
    run("docker", "volume", "create", volume)
    try:
        mount = ("--volume", f"{volume}:/dumps")
        # With a file in it: to an empty volume the engine gives the owner of the image's folder.
        chown = f"import os; open('/dumps/kept', 'w'); os.chown('/dumps', {', '.join(OTHER_USER.split(':'))})"
        run("docker", "run", "--rm", "--user", "0:0", *mount, IMAGE, "python", "-c", chown)
        as_other = ("run", "--rm", "-T", "--user", OTHER_USER, *mount, "--workdir", "/dumps", "web", "python")
        make = ("generate_sessions", "--events", "20000", "--days", "2", "--output", "dump.jsonl")
        one_node.compose(*as_other, "/app/manage.py", *make)
        one_node.compose(*as_other, "-c", "open('dump.jsonl', 'a').write('no json\\n{}\\n')")
        began = time.monotonic()
        said = one_node.compose(*as_other, "/app/manage.py", "import_sessions", "dump.jsonl", "--json", check=False)
        took = time.monotonic() - began
        summary = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
        assert (summary["stored"], summary["rejected"], summary["error"]) == (20_000, 2, None)
        owners = one_node.compose(*as_other, "-c", "import os; print({n: os.stat(n).st_uid for n in os.listdir('.')})")
        assert "'dump.jsonl.rejects.jsonl': 12345" in owners, owners
    finally:
        run("docker", "volume", "rm", "--force", volume)
    figure(f"20,000 events in {took:.0f} s with the start of the container, 2 rejected")


def test_an_upload_finishes_while_the_service_stops(one_node: Stack, figure: Figure) -> None:
    """A request that is being sent when the service is asked to stop is stored and answered.

    A body of which the second half comes 4 s after `docker compose stop web`.
    """
    upload = one_node.start_client("upload", "http://web:8000", "4")
    assert upload.stdout is not None
    assert upload.stdout.readline() == "begun\n"
    began = time.monotonic()
    one_node.compose("stop", "web")
    took = time.monotonic() - began
    output, _ = upload.communicate(timeout=30)
    [container] = one_node.containers("web")
    state = one_node.inspect(container)["State"]
    one_node.compose("up", "--detach", "--wait", "web")
    assert json.loads(output) == {"status": 201}
    assert took < STOP_SECONDS
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    figure(f"201; stopped after {took:.1f} s")


def test_prometheus_watches_the_service(one_node: Stack, figure: Figure) -> None:
    """With the profile `observe`, Prometheus takes its configuration and the alerts, and reads from the service.

    `docker compose up prometheus`; it lists its targets and rules itself.
    """
    one_node.compose("up", "--detach", "prometheus")
    [target] = one_node.scraped(1)
    rules = [rule for group in one_node.of_prometheus("rules")["groups"] for rule in group["rules"]]
    alerts = yaml.safe_load((PROJECT / "deploy/prometheus/alerts.yml").read_text())
    assert [rule["name"] for rule in rules] == [
        rule.get("alert") or rule["record"] for group in alerts["groups"] for rule in group["rules"]
    ]
    figure(f"{len(rules)} rules; metrics read in {target['lastScrapeDuration'] * 1000:.0f} ms")


def test_everything_is_restarted(one_node: Stack, figure: Figure) -> None:
    """After `docker compose restart`, which heeds no order, the service is back and the schema job has ended well.

    The job waits until Cassandra answers (`sync_cassandra --wait`).
    """
    one_node.compose("restart")
    took = one_node.wait_until(REPORT, seconds=300)
    [job] = one_node.containers("schema")
    deadline = time.monotonic() + 300
    while (state := one_node.inspect(job)["State"])["Running"]:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert state["ExitCode"] == 0, one_node.compose("logs", "schema")
    figure(f"reports again {took:.0f} s after it")
