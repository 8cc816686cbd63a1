"""Every operation of the live schema, with data that fits it and data that does not: each reply is as documented."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from access.keys import SCOPES
from conftest import PROJECT, WebServer, manage
from tests.faults.conftest import Service, environment_of, redis_environment

Figure = Callable[[str], None]
FOLDER = Path(__file__).parent
# Of each operation and phase, and how many that must come to in all.
CASES, CASES_LONG = 12, 150
LEAST, LEAST_LONG = 300, 2_000


def test_the_live_schema(node_service: Service, figure: Figure, long_form: bool, tmp_path: Path) -> None:
    """Whatever is sent to any operation, no reply is a 5xx and every reply is as its schema says.

    Schemathesis over the live schema with all its checks, in the long form with more than 2,000 cases.
    """
    if not long_form:
        pytest.skip("The short form has the same cases with keys.")
    figure(fuzzed(node_service.web.url, tmp_path, long_form=long_form))


def test_the_live_schema_with_keys(
    node_service: Service,
    web_server: Callable[..., WebServer],
    figure: Figure,
    long_form: bool,
    tmp_path: Path,
) -> None:
    """With keys the same holds, and no operation answers anybody who has none or a wrong one.

    Schemathesis's own checks of authorization are among those that run.
    """
    environment = {**environment_of(node_service.nodes), **redis_environment(node_service.redis.address[1])}
    scopes = [f"--scope={scope}" for scope in SCOPES]
    made = manage("api_keys", "create", "--name=fuzz", *scopes, env={**os.environ, **environment})
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    web = web_server(**environment, AUTH="keys", WEB_WORKERS="1")
    figure(fuzzed(web.url, tmp_path, f"--header=Authorization: Bearer {key}", long_form=long_form))


def fuzzed(url: str, tmp_path: Path, *options: str, long_form: bool) -> str:
    """Run Schemathesis, and return what it has done."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={FOLDER / 'schemathesis.toml'}",
        "run",
        f"{url}/api/v1/schema/",
        "--checks=all",
        "--continue-on-failure",
        f"--max-examples={CASES_LONG if long_form else CASES}",
        "--seed=7",
        "--report=json",
        f"--report-json-path={tmp_path / 'report.json'}",
        "--no-color",
        *options,
    ]
    hooks = {**os.environ, "PYTHONPATH": str(PROJECT), "SCHEMATHESIS_HOOKS": "tests.faults.schema_hooks"}
    ended = subprocess.run(command, cwd=tmp_path, env=hooks, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    cases, operations = report["test_cases"]["generated"], report["operations"]["tested"]
    assert operations == report["operations"]["total"]
    assert cases >= (LEAST_LONG if long_form else LEAST)
    return f"{cases:,} cases over {operations} operations, every reply as documented, no 5xx"
