"""The chart of deploy/helm as helm renders it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import PROJECT

CHART = PROJECT / "deploy/helm/player-sessions"
EVERYTHING = Path(__file__).with_name("everything.yaml")
# The first that the chart says it runs on. A helm that "go install" has built takes an old one for the cluster's.
OLDEST = re.search(r">=(\d+\.\d+)", (CHART / "Chart.yaml").read_text())[1]
# Other than the chart's, so that a name that is written twice is seen.
RELEASE = "eu"
# Of a chart that is rendered with nothing but its own values, and with every part.
VALUES = {"defaults": [], "everything": ["--values", str(EVERYTHING)]}
# Kinds that Prometheus' operator brings along.
OF_AN_OPERATOR = {"ServiceMonitor", "PrometheusRule"}

Manifest = dict[str, Any]


@pytest.fixture(scope="session", autouse=True)
def store() -> None:
    """Instead of the other tests' store: nothing is stored here."""


@pytest.fixture(scope="session", autouse=True)
def helm() -> None:
    if not shutil.which("helm"):
        pytest.skip("no helm on the PATH: https://helm.sh/docs/intro/install/")


def run_helm(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["helm", *words], capture_output=True, text=True, check=False)


def render(*options: str) -> "subprocess.CompletedProcess[str]":
    return run_helm("template", RELEASE, str(CHART), "--namespace", "games", "--kube-version", OLDEST, *options)


def rendered(*options: str) -> str:
    ended = render(*options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def manifests(*options: str) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(rendered(*options)) if one]


@pytest.fixture(scope="session", params=VALUES)
def chart(request: pytest.FixtureRequest) -> list[Manifest]:
    """The manifests, with the defaults and with everything on."""
    return manifests(*VALUES[request.param])


@pytest.fixture(scope="session")
def defaults() -> list[Manifest]:
    return manifests()


@pytest.fixture(scope="session")
def everything() -> list[Manifest]:
    return manifests(*VALUES["everything"])


def of_kind(chart: list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in chart if one["kind"] == kind]


def pod_template(manifest: Manifest) -> Manifest:
    """That of a Deployment, a Job or a CronJob."""
    spec = manifest["spec"]
    return spec["jobTemplate"]["spec"]["template"] if manifest["kind"] == "CronJob" else spec["template"]


def workloads(chart: list[Manifest]) -> list[Manifest]:
    return [one for one in chart if one["kind"] in ("Deployment", "Job", "CronJob")]


def container(manifest: Manifest) -> Manifest:
    [one] = pod_template(manifest)["spec"]["containers"]
    return one


def environment(manifest: Manifest) -> dict[str, Any]:
    """Values, or where they come from, by name; a name that is there twice is an error."""
    written = container(manifest)["env"]
    by_name = {one["name"]: one.get("value", one.get("valueFrom")) for one in written}
    assert len(by_name) == len(written)
    return by_name
