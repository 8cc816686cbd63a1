"""Fixtures of the tests of the import."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from conftest import manage


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Callable[..., tuple]:
    """Imports with one worker process; gives the exit status and the summary.

    The command runs in this process, where it need not be started: test_import_terminal.py starts it as users do.
    What comes from standard input needs a process that has it.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: bytes | None = None) -> tuple[int, dict]:
        command = ("import_sessions", *arguments, "--json", "--workers", "1")
        if stdin is None:
            status, printed, log = _call(command, capfd)
        else:
            ended = manage(*command, stdin=stdin, cwd=tmp_path)
            status, printed, log = ended.returncode, ended.stdout, ended.stderr
        assert "Traceback" not in log, log
        return status, json.loads(printed)

    return run


def _call(command: tuple[str, ...], capfd: pytest.CaptureFixture) -> tuple[int, str, str]:
    """The exit status, standard output and standard error of a command that runs in this process."""
    printed = StringIO()
    capfd.readouterr()
    try:
        call_command(*command, stdout=printed)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, printed.getvalue(), capfd.readouterr().err


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Calls an import, in this process, that ends before it begins; gives the error."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments: str) -> str:
        printed = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("import_sessions", *arguments, "--json", stdout=printed)
        summary = json.loads(printed.getvalue())
        assert (ended.value.code, summary["read"]) == (1, 0)
        return summary["error"]

    return refused
