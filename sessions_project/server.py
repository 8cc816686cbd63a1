"""``python -m sessions_project.server``: Granian's own command, but for one bound.

It lets ``--http1-header-read-timeout`` be 60 s at most. That is also how long an idle connection stays open, and must
be longer than proxies keep theirs, often 60 s: else one sends a request just when the server closes.
"""

import click
from granian.cli import cli


def main() -> None:
    """Serve as the options say."""
    [timeout] = [option for option in cli.params if option.name == "http1_header_read_timeout"]
    timeout.type = click.IntRange(min=1)
    cli(auto_envvar_prefix="GRANIAN")


if __name__ == "__main__":
    main()
