"""A generated part of a page, between two comments that nobody edits."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
ANY_BLOCK = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end of \1 -->\n", re.DOTALL)


def with_block(page: str, name: str, text: str) -> str:
    """Return the page with ``text`` as its part of that name. Raises LookupError when the page has no such part."""
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->\n"
    written, number = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL)
    if number != 1:
        raise LookupError(f"The page needs one part {begin.strip()} … {end.strip()}, and has {number}.")
    return written


def block(page: str, name: str) -> str:
    """Return what the page has as its part of that name."""
    [found] = re.findall(f"<!-- generated: {name} -->\n(.*?)<!-- end of {name} -->\n", page, flags=re.DOTALL)
    return str(found).strip("\n")
