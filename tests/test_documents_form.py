"""The form of the documents: generated parts, links, length of lines, the version, and the site."""

import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conftest import PROJECT
from documentation import rooms
from documentation.__main__ import MAY_BE_OLD, PARTS
from documentation.blocks import ANY_BLOCK, block, with_block
from sessions_project import __version__

DOCS = PROJECT / "docs"
AT_THE_TOP = [PROJECT / name for name in ("README.md", "DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*AT_THE_TOP, *sorted(DOCS.rglob("*.md"))]
# Written by programs: benchmarks.speed_page, benchmarks.capacity, tests/faults.
OTHER_BLOCKS = re.compile(
    r"<!-- (?:speed|measured|python -m)[^>]*-->\n.*?<!-- (?:end|measured: end)[^>]*-->", re.DOTALL
)
MOST_CHARACTERS, MOST_WORDS_OF_A_CELL, MOST_LINES_OF_README = 120, 40, 150
VENDOR = DOCS / "assets/vendor"


def by_hand(page: Path) -> str:
    """The text of a page without what programs have written into it."""
    return OTHER_BLOCKS.sub("", ANY_BLOCK.sub("", page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_lines_and_cells_are_short(page: Path) -> None:
    for line in by_hand(page).splitlines():
        assert len(line) <= MOST_CHARACTERS, line
        if line.startswith("|"):
            assert all(len(cell.split()) <= MOST_WORDS_OF_A_CELL for cell in line.split("|")), line


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= MOST_LINES_OF_README


@pytest.mark.parametrize("name", sorted(PARTS.keys() - MAY_BE_OLD))
def test_a_generated_part_is_what_the_code_says(name: str) -> None:
    path, make = PARTS[name]
    page = path.read_text()
    assert with_block(page, name, make()) == page, "run: make docs-site"


def test_the_sizes_of_rooms_are_not_far_from_the_code() -> None:
    def figures(text: str) -> dict[str, list[int]]:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:] if line]
        return {row[0]: [int(row[number].replace(",", "")) for number in rooms.NUMBERS] for row in rows}

    path, make = PARTS["rooms"]
    written, measured = figures(block(path.read_text(), "rooms")), figures(make())
    assert written.keys() == measured.keys(), "run: make docs-site"
    for room, numbers in measured.items():
        for was, now in zip(written[room], numbers, strict=True):
            assert abs(was - now) <= max(10, now / 4), f"{room}: {was} lines are now {now}. Run: make docs-site"


def test_every_file_and_heading_that_is_linked_from_the_top_is_there() -> None:
    """The build of the site looks at the pages in ``docs/``."""
    for page in AT_THE_TOP:
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text()):
            path = PROJECT / target if target else page
            assert path.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(path), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The names that a code host gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_site_is_built_without_a_warning_and_asks_nobody_else(tmp_path: Path) -> None:
    mkdocs = Path(sys.executable).with_name("mkdocs")
    command = [mkdocs, "build", "--strict", "--quiet", "--site-dir", tmp_path]
    build = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    pages = [page for page in tmp_path.rglob("*.html") if page.name not in ("load.html", "404.html")]
    assert len(pages) > len(PAGES) - len(AT_THE_TOP)
    for page in pages:
        assets = re.findall(r"<(?:script|img|link)\b[^>]*?\b(?:src|href)=[\"']?([^\"' >]+)", page.read_text())
        assert assets
        for asset in assets:
            assert not re.match(r"(https?:)?//", asset), f"{page.name}: {asset}"
            assert (page.parent / asset.partition("?")[0]).exists(), f"{page.name}: {asset}"
        if 'class="mermaid"' in page.read_text():
            assert "vendor/mermaid" in page.read_text()


def test_every_file_of_others_is_the_one_that_was_vendored() -> None:
    noted = [line for line in (VENDOR / "VENDORED").read_text().splitlines() if not line.startswith("#")]
    hashes = {name: digest for digest, name in (line.split() for line in noted)}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    assert there.pop("VENDORED")
    assert there == hashes
    assert [name for name in hashes if name.endswith("LICENSE")]


def test_every_decision_has_its_place_in_the_list() -> None:
    index = (DOCS / "decisions/index.md").read_text()
    records = sorted((DOCS / "decisions").glob("0*.md"))
    for number, record in enumerate(records, start=1):
        assert record.name.startswith(f"{number:04}-")
        text = record.read_text()
        for part in ("Context", "Decision", "Consequences"):
            assert f"\n## {part}\n" in text, f"{record.name}: {part}"
        [title] = re.findall(r"^# (\d+\. .+)$", text, re.MULTILINE)
        [date] = re.findall(r"^Date: (.+)$", text, re.MULTILINE)
        assert f"[{title}]({record.name}), {date}" in " ".join(index.split()), record.name
        assert index.count(record.name) == 1, record.name


def test_the_version_is_in_one_place() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "sessions_project.__version__"}
    [newest, *_] = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", AT_THE_TOP[-1].read_text(), re.MULTILINE)
    assert newest == __version__
