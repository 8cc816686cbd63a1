"""The examples in docstrings are true."""

import doctest
import importlib

import pytest

from conftest import PROJECT

ROOMS = ("store", "web", "caching", "events", "reports", "sessions_project")
MODULES = [
    ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    for room in ROOMS
    for path in sorted((PROJECT / room).rglob("*.py"))
    if "tests" not in path.parts and "    >>> " in path.read_text()
]


@pytest.mark.parametrize("module", MODULES)
def test_every_example_gives_what_it_shows(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted
    assert not results.failed


def test_there_are_examples_of_rules_windows_decoding_and_cursors() -> None:
    assert {"events.domain", "events.decoding", "reports.cursors", "reports.starts"} <= {*MODULES}
