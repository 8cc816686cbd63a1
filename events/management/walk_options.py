"""What every command that walks through the tables is told: how fast."""

from argparse import ArgumentParser

from django.core.management.base import CommandError


def add_rate_argument(parser: ArgumentParser, *, default: int) -> None:
    """Add ``--rate``, in rows a second."""
    parser.add_argument(
        "--rate",
        type=int,
        default=default,
        metavar="ROWS",
        help=f"read at most this many rows a second ({default:,})",
    )


def refuse_rate(rate: int) -> None:
    """Raise CommandError when nothing could be read."""
    if rate < 1:
        raise CommandError("--rate must be at least 1.")
