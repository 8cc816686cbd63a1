"""The jars of Cassandra, or of any Maven artifact, from the central repository, without Maven."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.process import EmbeddedError

if TYPE_CHECKING:
    from jgo.maven import Artifact


def class_path(coordinates: str, *, remembered_in: Path) -> list[Path]:
    """Every jar that ``coordinates`` (group:artifact:version, several joined by +) needs, downloaded when missing.

    The list is kept in the file ``remembered_in``: working it out reads some hundred POM files.
    The jars lie in the local Maven repository, where other projects find them too.
    """
    if remembered_in.exists():
        known, *jars = remembered_in.read_text().splitlines() or [""]
        if known == coordinates and all(Path(jar).exists() for jar in jars):
            return [Path(jar) for jar in jars]
    paths = _download(coordinates)
    remembered_in.parent.mkdir(parents=True, exist_ok=True)
    draft = remembered_in.with_suffix(".new")
    draft.write_text("\n".join([coordinates, *map(str, paths)]) + "\n")
    draft.replace(remembered_in)
    return paths


def _download(coordinates: str) -> list[Path]:
    import jgo
    import requests

    try:
        print(f"Looking up what {coordinates} needs ...", flush=True)
        artifacts = jgo.resolve(coordinates)
        return [_whole_jar(artifact) for artifact in _with_progress(artifacts)]
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise EmbeddedError(
            f"Could not download {coordinates}: {error}\n"
            f"Is the network there? What has arrived is kept; run the same command again. "
            f"Without a network, point CASSANDRA_HOSTS at a Cassandra that you have."
        ) from error


def _whole_jar(artifact: "Artifact") -> Path:
    """The path of the jar; one that an earlier, interrupted download left incomplete is taken again."""
    cached = artifact.cached_path
    if cached and cached.exists() and not zipfile.is_zipfile(cached):
        cached.unlink()
    path: Path = artifact.resolve()
    if not zipfile.is_zipfile(path):
        path.unlink()
        raise RuntimeError(f"{path.name} did not arrive whole")
    return path


def _with_progress(artifacts: "list[Artifact]") -> Iterator["Artifact"]:
    """Yield each artifact, after it was announced: one rewritten line on a terminal, every 20th in plain lines."""
    terminal = sys.stdout.isatty()
    total = len(artifacts)
    for number, artifact in enumerate(artifacts, start=1):
        if terminal:
            print(f"\r\033[KJar {number} of {total}: {artifact.filename}", end="", flush=True)
        elif number % 20 == 0 or number == total:
            print(f"Jar {number} of {total}", flush=True)
        yield artifact
    if terminal:
        print()
