"""``python -m sessions_project.server``: Granian's own command, without one limit and one warning, with the exporter.

Granian allows at most 60 s for ``--http1-header-read-timeout``. That is also how long an idle connection stays open, so
it must be longer than proxies keep theirs, often 60 s: otherwise a proxy sends a request just when the server closes.
"""

import logging
import os
from pathlib import Path

import click
from granian.cli import cli

from metrics import supervisor
from metrics.sender import SOCKET_VARIABLE
from sessions_project import signals

# At every start Granian compares the number of threads with that of cores. Only WEB_THREADS of ours work at a time; the
# others wait for a worker slot, refuse requests or read bodies (web/load_shedding.py, web/transport.py).
WARNING_OF_THREADS = "Configuration allows spawning up to"


def main() -> None:
    """Serve as the options say."""
    logging.getLogger("_granian").addFilter(lambda record: not record.getMessage().startswith(WARNING_OF_THREADS))
    [timeout] = [option for option in cli.params if option.name == "http1_header_read_timeout"]
    timeout.type = click.IntRange(min=1)
    if path := os.environ.get(SOCKET_VARIABLE):
        port = int(os.environ["METRICS_PORT"])
        supervisor.start(host=os.environ["METRICS_HOST"], port=port, path=Path(path))
    signals.watch_in_workers()
    cli(auto_envvar_prefix="GRANIAN")


if __name__ == "__main__":
    main()
