"""``python -m documentation``: write what of the documents is made from the code; ``--check`` says what is stale."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import django

from documentation import commands_page, metrics_page, rooms, settings_page
from documentation.blocks import DOCS, with_block

# The name of a part, its page, and what makes it.
PARTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "settings": (DOCS / "reference/settings.md", settings_page.page),
    "commands": (DOCS / "reference/commands.md", commands_page.page),
    "metrics": (DOCS / "reference/metrics.md", metrics_page.page),
    "rooms": (DOCS / "explanation/architecture.md", rooms.page),
}
# A table of sizes need not change with every line of code; a test says when it is stale beyond reason.
MAY_BE_OLD = {"rooms"}


def main() -> None:
    """Write the parts, or exit with 1 when one of them is not what the code says."""
    parser = ArgumentParser(prog="python -m documentation", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a part is stale")
    check = parser.parse_args().check
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")
    django.setup()
    stale = [name for name in PARTS if not (check and name in MAY_BE_OLD) and not _is_current(name, write=not check)]
    if stale and check:
        sys.exit(f"Stale: {', '.join(stale)}. Run 'make docs-site', which writes them.")


def _is_current(name: str, *, write: bool) -> bool:
    path, make = PARTS[name]
    page = path.read_text()
    wanted = with_block(page, name, make())
    if write and page != wanted:
        path.write_text(wanted)
    return page == wanted


if __name__ == "__main__":
    main()
