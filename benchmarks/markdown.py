"""What the benchmarks write: tables, and paragraphs in lines as long as those of the documents."""

import textwrap
from collections.abc import Iterable, Sequence

MOST_CHARACTERS = 120


def table(titles: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [titles, ["---"] * len(titles), *lines])


def wrapped(text: str) -> str:
    """A paragraph in lines of at most MOST_CHARACTERS."""
    return textwrap.fill(text, MOST_CHARACTERS, break_long_words=False, break_on_hyphens=False)
