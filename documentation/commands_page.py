"""The commands' own ``--help``, without the options that every command of Django has."""

import os
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from documentation.blocks import PROJECT

WIDTH = 100


def page() -> str:
    """Return the part of the page: a heading and the help of each command of ``manage.py``."""
    names = sorted(path.stem for path in (PROJECT / "events/management/commands").glob("[a-z]*.py"))
    return "\n".join(f"## `manage.py {name}`\n\n```text\n{command_help(name)}```\n" for name in names)


def command_help(name: str) -> str:
    """Return what ``manage.py NAME --help`` says of the command's own options."""
    command = import_module(f"events.management.commands.{name}").Command()
    with _columns(WIDTH):
        parser: ArgumentParser = command.create_parser("manage.py", name)
        for action in parser._actions:
            if set(action.option_strings) & parser.formatter_class.show_last:  # type: ignore[attr-defined]
                action.help = SUPPRESS
        return str(parser.format_help())


@contextmanager
def _columns(number: int) -> Iterator[None]:
    """Have argparse write lines of so many characters: it asks the terminal how wide it is."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(number)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
