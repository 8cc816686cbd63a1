"""The commands' own ``--help``, without the options that every command of Django has."""

import os
from argparse import SUPPRESS, ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import chain

from documentation.blocks import PROJECT

WIDTH = 100


def page() -> str:
    """Return the part of the page: a heading and the help of each command of ``manage.py``."""
    commands = sorted((path.stem, path) for path in PROJECT.glob("*/management/commands/[a-z]*.py"))
    helps = {name: command_help(".".join(path.relative_to(PROJECT).with_suffix("").parts)) for name, path in commands}
    return "\n".join(f"## `manage.py {name}`\n\n```text\n{text}```\n" for name, text in helps.items())


def command_help(module: str) -> str:
    """Return what ``manage.py NAME --help`` says of the own options of the command in a module, and of its actions."""
    command, name = import_module(module).Command(), module.rpartition(".")[2]
    with _columns(WIDTH):
        parser: ArgumentParser = command.create_parser("manage.py", name)
        for action in parser._actions:
            if set(action.option_strings) & parser.formatter_class.show_last:  # type: ignore[attr-defined]
                action.help = SUPPRESS
        inner = [one.choices.values() for one in parser._actions if isinstance(one, _SubParsersAction)]
        return "\n".join(one.format_help() for one in [parser, *chain.from_iterable(inner)])


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
