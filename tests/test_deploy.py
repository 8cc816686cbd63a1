"""The files of deploy/ fit the service and are what the tools that read them want; test_metrics.py has Prometheus'."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import PROJECT, program
from sessions_project import __version__

UNIT = PROJECT / "deploy/systemd/player-sessions.service"
# What "systemd-analyze security" calls a service that is exposed begins at 4 to 5.
MOST_EXPOSURE = 3.0


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    return program("systemd-analyze", otherwise="no systemd here")


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


# --- The chart, as far as helm is not needed: tests/helm has the rest -------------------------------------------------

CHART = PROJECT / "deploy/helm/player-sessions"
# What pods are given by other values, and what the chart has written down: ports, and what the image is.
GIVEN_OTHERWISE = {"AUTH", "ALLOWED_HOSTS", "WEB_WORKERS", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "REDIS_URL"}
GIVEN_OTHERWISE |= {f"CASSANDRA_{name}" for name in ("HOSTS", "PORT", "KEYSPACE", "LOCAL_DATACENTER", "REPLICATION")}
GIVEN_OTHERWISE |= {f"CASSANDRA_{name}" for name in ("USER", "PASSWORD", "CA_FILE", "CERT_FILE", "KEY_FILE")}
FIXED = {"ENVIRONMENT", "DEBUG", "PORT", "METRICS_PORT"}


def test_the_chart_is_of_this_release() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_chart_takes_every_setting_once() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    code = (PROJECT / "sessions_project/settings.py").read_text()
    settings = set(re.findall(r'(?:_flag|_whole_number|_number|_list|_text)\(\s*"([A-Z_]+)', code))
    assert set(schema["properties"]["settings"]["propertyNames"]["enum"]) == settings - GIVEN_OTHERWISE - FIXED
    assert settings >= GIVEN_OTHERWISE | FIXED


def test_the_chart_has_the_alerts_and_no_copy_of_them() -> None:
    assert (CHART / "files/alerts.yml").resolve() == PROJECT / "deploy/prometheus/alerts.yml"


def test_the_schema_of_the_chart_has_every_value() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    properties = json.loads((CHART / "values.schema.json").read_text())["properties"]
    assert {*values} == {*properties}
    for name, one in properties.items():
        assert "properties" not in one or {*values[name]} == {*one["properties"]}, name
