"""Clients that others' tools make of the schema: they compile strictly, and do what they are for.

Outside of the gate (``make clients``): the tools come from the internet. One that cannot be had is skipped.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import WebServer, manage

HERE = Path(__file__).parent
PYTHON_TOOLS = ("openapi-python-client==0.29.1", "mypy==1.18.2")
GO_TOOL = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
# openapi-generator's, which Maven brings.
JAVA_TOOL = "7.17.0"
NODE_TOOLS = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3", "@types/node@24")
# Its union of an event and a list of events is no Java, so whatever is given there goes into the body as it is. Its own
# tests and pages are not made.
JAVA_OPTIONS = (
    "--library=native",
    "--schema-mappings=EventOrBatchRequest=Object",
    "--global-property=models,apis,supportingFiles,modelTests=false,apiTests=false,modelDocs=false,apiDocs=false",
)
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


def run(folder: Path, *words: str | Path, **variables: str) -> str:
    """What a command prints, which must succeed."""
    environment = {**os.environ, **variables}
    ended = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def have(folder: Path, *words: str | Path, **variables: str) -> None:
    """Get tools, or skip."""
    environment = {**os.environ, **variables}
    ended = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
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


def test_oapi_codegen(folder: Path, web: WebServer, player: str, country: str) -> None:
    if not shutil.which("go"):
        pytest.skip("no go on the PATH")
    have(folder, "go", "install", GO_TOOL, GOBIN=str(folder))
    made = run(folder, folder / "oapi-codegen", "-generate=types,client", "-package=main", "openapi.yaml")
    (folder / "made.go").write_text(made)
    shutil.copy(HERE / "program.go", folder)
    run(folder, "go", "mod", "init", "made")
    have(folder, "go", "mod", "tidy")
    run(folder, "go", "vet", ".")
    run(folder, "go", "build", "-o", "program", ".")
    run(folder, folder / "program", web.url, player, country)


def test_openapi_generator_java(folder: Path, web: WebServer, player: str, country: str) -> None:
    if not (shutil.which("mvn") and shutil.which("javac")):
        pytest.skip("no mvn and javac on the PATH")
    artifact = f"-Dartifact=org.openapitools:openapi-generator-cli:{JAVA_TOOL}"
    jar = f"openapi-generator-cli-{JAVA_TOOL}.jar"
    have(folder, "mvn", "-q", "-B", "dependency:copy", artifact, f"-DoutputDirectory={folder}")
    run(folder, "java", "-jar", jar, "generate", "-i=openapi.yaml", "-g=java", "-o=made", *JAVA_OPTIONS)
    have(folder / "made", "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=target/lib")
    run(folder / "made", "mvn", "-q", "-B", "compile")
    shutil.copy(HERE / "Program.java", folder)
    classes = "made/target/classes:made/target/lib/*:."
    run(folder, "javac", "-Xlint:all,-classfile", "-Werror", "-cp", classes, "Program.java")
    run(folder, "java", "-cp", classes, "Program", web.url, player, country)
