"""Which Python ``make`` takes: the newest that works, whatever else has its name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PROJECT

THIS = "python{}.{}".format(*sys.version_info)
NEWER = f"python{sys.version_info[0]}.{sys.version_info[1] + 1}"
FINDER = PROJECT / "requirements" / "find-python.sh"
SUPPORTED = re.search(r'^SUPPORTED="(.*)"$', FINDER.read_text(), re.MULTILINE)[1]


def find(*arguments: str, path: object, script: Path = FINDER) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(script), *arguments]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The only folder on the PATH, with the one program that the script itself runs and no Python."""
    (tmp_path / "tr").symlink_to(shutil.which("tr"))
    return tmp_path


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def working(path: Path) -> Path:
    """This Python under another name."""
    return program(path, f'exec "{sys.executable}" "$@"')


def without(module: str, path: Path) -> Path:
    """This Python, where importing the module fails, as where a distribution leaves it out."""
    modules = path.with_name(f"without-{module}")
    modules.mkdir()
    (modules / f"{module}.py").write_text("raise ImportError")
    return program(path, f'PYTHONPATH="{modules}" exec "{sys.executable}" "$@"')


def test_a_name_that_does_not_start_is_passed_over(folder: Path) -> None:
    program(folder / NEWER, f"echo 'pyenv: {NEWER}: command not found' >&2; exit 127")
    working(folder / THIS)
    assert find(path=folder).stdout == f"{folder / THIS}\n"


def test_a_later_folder_of_the_path_is_looked_at_too(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    program(folder / THIS, "exit 1")
    later = tmp_path_factory.mktemp("with a blank")
    working(later / THIS)
    assert find(path=f"{folder}:{later}").stdout == f"{later / THIS}\n"


def test_plain_python3_counts_when_its_version_is_supported(folder: Path) -> None:
    working(folder / "python3")
    assert find(path=folder).stdout == f"{folder / 'python3'}\n"


def test_one_that_makes_no_environments_is_passed_over_and_named(folder: Path) -> None:
    """As on Debian and Ubuntu without python3-venv."""
    without("ensurepip", folder / "python3")
    ended = find(path=folder)
    assert ended.returncode == 1
    assert f"{folder / 'python3'} makes no virtual environments" in ended.stderr
    assert f"apt install {THIS}-venv" in ended.stderr
    working(folder / THIS)
    assert find(path=folder).stdout == f"{folder / THIS}\n"


def test_one_that_was_built_without_bzip2_is_named(folder: Path) -> None:
    """As pyenv builds it on a machine without its headers: no dump could be read."""
    without("bz2", folder / "python3")
    assert f"{folder / 'python3'} was built without bz2\n" in find(path=folder).stderr


def test_the_one_that_is_named_is_taken_or_refused_and_no_other(folder: Path) -> None:
    working(folder / THIS)
    named = working(folder / "mine")
    assert find(str(named), path=folder).stdout == f"{named}\n"
    assert find("mine", path=folder).stdout == f"{named}\n"
    ended = find(str(folder / "python3.10"), path=folder)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[1:] == ["None of these will do:", f"  {folder / 'python3.10'} does not start"]


def test_one_of_another_version_is_refused(folder: Path) -> None:
    """Asked of a copy of the script that supports none that is here."""
    working(folder / "python3")
    asked = folder / "find-python.sh"
    asked.write_text(FINDER.read_text().replace(f'"{SUPPORTED}"', '"3.9 3.8"'))
    ended = find(path=folder, script=asked)
    assert ended.stderr.startswith("Python 3.8 to 3.9 is needed.")
    assert f"{folder / 'python3'} is CPython {THIS.removeprefix('python')}\n" in ended.stderr


def test_make_says_what_is_needed(tmp_path: Path) -> None:
    words = ["make", "up", f"VENV={tmp_path / 'environment'}", f"PYTHON={tmp_path / 'python3'}"]
    ended = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Python 3.11 to 3.14 is needed. Install one, or name it: make PYTHON=/path/to/python3\n" in ended.stderr
    assert f"{tmp_path / 'python3'} does not start" in ended.stderr


def test_every_file_names_the_same_versions() -> None:
    newest, *_, oldest = SUPPORTED.split()
    after = f"3.{int(newest.removeprefix('3.')) + 1}"
    project = (PROJECT / "pyproject.toml").read_text()
    assert f'requires-python = ">={oldest},<{after}"' in project
    assert f'target-version = "py{oldest.replace(".", "")}"' in project
    assert f'python_version = "{oldest}"' in project
    assert f"--python-version {oldest} " in (PROJECT / "Makefile").read_text()
    for name in ("README.md", "Makefile"):
        assert f"Python {oldest} to {newest}" in (PROJECT / name).read_text(), name
    [image] = re.findall(r"FROM python:(\d+\.\d+)", (PROJECT / "docker/Dockerfile").read_text())
    assert image in SUPPORTED.split()
