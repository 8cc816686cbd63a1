"""The option of commands that write their numbers into a file."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path


def add_metrics_argument(parser: ArgumentParser, *, what: str) -> None:
    """Add ``--metrics``: a file for node_exporter; ``what`` says what is written into it, and when."""
    parser.add_argument(
        "--metrics", type=_textfile, metavar="PATH.prom", help=f"write {what} into a file for node_exporter"
    )


def _textfile(text: str) -> Path:
    """Return the path of a file that is overwritten; node_exporter reads no file of another ending."""
    if not text.endswith(".prom"):
        raise ArgumentTypeError(f"{text!r} does not end in .prom")
    return Path(text)
