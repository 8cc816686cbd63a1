"""The targets of the Makefile hand on what they were given."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import PROJECT

# In the place of the interpreter: prints what it is called with.
TELL = "#!/bin/sh\nprintf '<%s>' \"$@\"\n"


@pytest.fixture
def make_import(tmp_path: Path):
    """Calls ``make import`` with a stand-in for the interpreter; what ``manage.py import_sessions`` would have got."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(TELL)
    (tmp_path / "bin/python").chmod(0o755)
    (tmp_path / ".ready").touch()
    os.utime(tmp_path / ".ready", (2**31, 2**31))  # newer than what is to be installed

    def make_import(*variables: str, **environment: str) -> str:
        command = ["make", "--no-print-directory", "import", f"VENV={tmp_path}", "STACK=", *variables]
        environment = {**os.environ, **environment}
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
        ).stdout.strip()

    return make_import


@pytest.mark.parametrize(
    "name",
    ["my day (1).jsonl", "it's.jsonl", 'a "quoted" one', "a$b $(c) `d` $HOME", "[1]*?;&|<>#!\\n", "-", "--help"],
)
def test_an_import_gets_the_path_as_it_was_typed(make_import, name):
    expected = f"<manage.py><import_sessions><--><{name}>"
    assert make_import(f"FILE={name}") == expected
    assert make_import(FILE=name) == expected


def test_an_import_gets_options_as_a_shell_reads_them(make_import):
    options = make_import("FILE=a b", "OPTIONS=--rebase --rejects 'my rejects.jsonl'")
    assert options == "<manage.py><import_sessions><--rebase><--rejects><my rejects.jsonl><--><a b>"


def test_an_import_needs_a_file(make_import):
    assert make_import() == "Name the dump: make import FILE=dump.jsonl.bz2"
