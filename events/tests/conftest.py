"""Fixtures of the tests of the import."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from conftest import manage


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, dict]]:
    """Imports as its users do; gives the exit status and the summary."""

    def run(*arguments: str, stdin: bytes | None = None) -> tuple[int, dict]:
        told = manage("import_sessions", *arguments, "--json", "--workers", "1", stdin=stdin, cwd=tmp_path)
        assert "Traceback" not in told.stderr, told.stderr
        return told.returncode, json.loads(told.stdout)

    return run


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Calls an import, in this process, that ends before it begins; gives the error."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments: str) -> str:
        told = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("import_sessions", *arguments, "--json", stdout=told)
        summary = json.loads(told.getvalue())
        assert (ended.value.code, summary["read"]) == (1, 0)
        return summary["error"]

    return refused
