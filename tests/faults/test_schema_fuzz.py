"""Every operation of the live schema, with data that fits it and data that does not: each reply is as documented."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import PROJECT
from tests.faults.conftest import Service

Figure = Callable[[str], None]
FOLDER = Path(__file__).parent
# Of each operation and phase, and how many that must come to in all.
CASES, CASES_LONG = 12, 150
LEAST, LEAST_LONG = 300, 2_000


def test_the_live_schema(node_service: Service, figure: Figure, long_form: bool, tmp_path: Path) -> None:
    """Whatever is sent to any operation, no reply is a 5xx and every reply is as its schema says.

    Schemathesis over the live schema with all its checks, in the long form with more than 2,000 cases.
    """
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={FOLDER / 'schemathesis.toml'}",
        "run",
        f"{node_service.web.url}/api/v1/schema/",
        "--checks=all",
        "--continue-on-failure",
        f"--max-examples={CASES_LONG if long_form else CASES}",
        "--seed=7",
        "--report=json",
        f"--report-json-path={tmp_path / 'report.json'}",
        "--no-color",
    ]
    hooks = {**os.environ, "PYTHONPATH": str(PROJECT), "SCHEMATHESIS_HOOKS": "tests.faults.schema_hooks"}
    ended = subprocess.run(command, cwd=tmp_path, env=hooks, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    cases, operations = report["test_cases"]["generated"], report["operations"]["tested"]
    assert operations == report["operations"]["total"]
    assert cases >= (LEAST_LONG if long_form else LEAST)
    figure(f"{cases:,} cases over {operations} operations, every reply as documented, no 5xx")
