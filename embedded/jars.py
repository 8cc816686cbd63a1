"""The jars of Cassandra, or of any Maven artifact, from the central repository, without Maven.

Those of Cassandra are compared with the SHA-256 sums in ``jars.sha256``. After a change of version
``python -m embedded.jars COORDINATES > embedded/jars.sha256`` writes it anew; look at what differs before you commit.
"""

import fcntl
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from embedded.process import EmbeddedError

if TYPE_CHECKING:
    from jgo.maven import Artifact


def class_path(coordinates: str, *, remembered_in: Path, sums: Path | None = None) -> list[Path]:
    """Return every jar that ``coordinates`` (group:artifact:version, joined by +) need, downloaded when missing.

    The list is kept in the file ``remembered_in``: working it out reads some hundred POM files.
    The jars lie in the local Maven repository, where other projects find and change them too: each time they are
    compared with the file ``sums``, if any. Raises EmbeddedError, also when other jars than those are wanted.
    """
    paths = _remembered(coordinates, remembered_in) or _looked_up(coordinates, remembered_in)
    if sums:
        _compare(paths, sums)
    return paths


def sums_of(paths: Iterable[Path]) -> str:
    """Return the sums of files as ``sha256sum`` writes them, in the order of their names."""
    by_name = {path.name: sha256(path.read_bytes()).hexdigest() for path in paths}
    return "".join(f"{by_name[name]}  {name}\n" for name in sorted(by_name))


def _compare(paths: Iterable[Path], sums: Path) -> None:
    """Remove what differs, so that the next attempt takes it anew."""
    paths = list(paths)
    others = set(sums_of(paths).splitlines()) ^ set(sums.read_text().splitlines())
    if not others:
        return
    names = {line.partition("  ")[2] for line in others}
    for path in paths:
        if path.name in names:
            path.unlink()
    raise EmbeddedError(
        f"Not the jars whose SHA-256 sums stand in {sums.name}: {', '.join(sorted(names))}. They were removed; run the "
        "same command again. If it happens again, somebody changes what is downloaded: do not go on."
    )


def _remembered(coordinates: str, remembered_in: Path) -> list[Path]:
    """Return the jars of the list, if it is there and so are they."""
    if remembered_in.exists():
        known, *jars = remembered_in.read_text().splitlines() or [""]
        if known == coordinates and all(Path(jar).exists() for jar in jars):
            return [Path(jar) for jar in jars]
    return []


def _looked_up(coordinates: str, remembered_in: Path) -> list[Path]:
    """Look up which jars are needed, download them, and keep the list."""
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
        with _one_at_a_time():
            print(f"Looking up what {coordinates} needs ...", flush=True)
            artifacts = jgo.resolve(coordinates)
            return [_whole_jar(artifact) for artifact in _with_progress(artifacts)]
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise EmbeddedError(
            f"Could not download {coordinates}: {error}\n"
            f"Is the network there? What has arrived is kept; run the same command again. "
            f"Without a network, point CASSANDRA_HOSTS at a Cassandra that you have."
        ) from error


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for another stack that downloads: jgo fails when a file appears that it is about to write."""
    folder = Path.home() / ".m2"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "player-sessions.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _whole_jar(artifact: "Artifact") -> Path:
    """Return the path of the jar; one that an earlier, interrupted download left incomplete is taken again."""
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


if __name__ == "__main__":
    with TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        found = class_path(sys.argv[1], remembered_in=Path(folder) / "list")
    sys.stdout.write(sums_of(found))
