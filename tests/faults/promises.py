"""docs/reliability.md: each promise with the figure of the run that measured it last."""

import re
from datetime import UTC, datetime
from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEADER = "| promised | how it is tested | last measured |\n|---|---|---|\n"


def write_table(page: Path, rows: dict[str, str]) -> None:
    """Put the rows, by name of their test, into the page's table; rows of promises that did not run stay."""
    before, table, after = re.split(f"{BEGIN}\n|{END}", page.read_text())
    known = {found[1]: line for line in table.splitlines() if (found := re.search(r"`(test_[\w\[\]]+)`", line))}
    lines = "\n".join({**known, **rows}.values())
    page.write_text(f"{before}{BEGIN}\n{HEADER}{lines}\n{END}{after}")


def row(*, test: str, docstring: str, figure: str, form: str | None = None) -> str:
    """One line of the table. The docstring's first paragraph is the promise, the second how it is tested."""
    promise, _, how = (" ".join(part.split()) for part in docstring.partition("\n\n"))
    today = datetime.now(UTC).date().isoformat()
    run = f"{form} form, {today}" if form else today
    return f"| {promise} | {how} (`{test}`) | {figure} ({run}) |"
