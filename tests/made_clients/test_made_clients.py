"""Clients that others' tools make of the schema: they compile strictly, and do what they are for.

Outside of the gate (``make clients``): the tools come from the internet. One that cannot be had is skipped.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import WebServer, manage

HERE = Path(__file__).parent
PYTHON_TOOLS = ("openapi-python-client==0.29.1", "mypy==1.18.2")
NODE_TOOLS = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3", "@types/node@24")
# Nothing is left out that the strictest would say.
COMPILER_OPTIONS = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "target": "es2022",
    "module": "nodenext",
    "types": ["node"],
}
SECONDS = 300


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(WEB_WORKERS="1", REPORT_CACHE_SECONDS="0")
    yield server
    server.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the schema."""
    written = manage("spectacular", "--file", str(tmp_path / "openapi.yaml"))
    assert written.returncode == 0, written.stderr
    return tmp_path


def run(folder: Path, *words: str | Path) -> str:
    """What a command prints, which must succeed."""
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def have(folder: Path, *words: str | Path) -> None:
    """Get tools, or skip."""
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if ended.returncode:
        pytest.skip(f"{words[0]}: {ended.stderr.strip()[-300:]}")


def test_openapi_python_client(folder: Path, web: WebServer, player: str, country: str) -> None:
    run(folder, sys.executable, "-m", "venv", "venv")
    programs = folder / "venv/bin"
    have(folder, programs / "pip", "install", "--quiet", *PYTHON_TOOLS)
    made = ("--path", "openapi.yaml", "--output-path", "made", "--meta", "none")
    run(folder, programs / "openapi-python-client", "generate", *made)
    shutil.copy(HERE / "program.py", folder)
    run(folder, programs / "mypy", "--strict", "--follow-imports=silent", "program.py")
    run(folder, programs / "python", "program.py", web.url, player, country)


def test_openapi_typescript(folder: Path, web: WebServer, player: str, country: str) -> None:
    if not shutil.which("npm"):
        pytest.skip("no npm on the PATH")
    (folder / "package.json").write_text(json.dumps({"type": "module", "private": True}))
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER_OPTIONS, "files": ["program.ts"]}))
    have(folder, "npm", "install", "--silent", "--no-fund", "--no-audit", *NODE_TOOLS)
    run(folder, "npx", "openapi-typescript", "openapi.yaml", "--output", "made.d.ts")
    shutil.copy(HERE / "program.ts", folder)
    run(folder, "npx", "tsc")
    run(folder, "node", "program.js", web.url, player, country)
