"""mkdocs: pages that lie outside ``docs/``, links to them, and scripts from beside the pages.

A link in Markdown is one between files of the repository, so that it works on a code host, too. Here it becomes one
between pages; one that leads to no page is left as it is, and the strict build refuses it.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PROJECT = Path(__file__).resolve().parent.parent
# Files of the repository that are pages of the site.
PAGES_OUTSIDE = {
    "benchmarks/RESULTS.md": "measurements.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(\]\()([^)#:\s]+\.md)(?=[)#])")
# What draws diagrams, and what lets the search work from a disk; the theme knows where to fetch them.
MERMAID, SEARCH_FROM_DISK = "assets/vendor/mermaid.tiny.js", "assets/vendor/iframe-worker.js"
SEARCH_FROM_ELSEWHERE = "https://unpkg.com/iframe-worker/shim"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside."""
    for source, page in PAGES_OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(PROJECT / source)))
    return files


def on_config(config: Any) -> Any:
    """Put every decision into the navigation: one more needs no line there."""
    records = sorted(path.name for path in (PROJECT / "docs/decisions").glob("0*.md"))
    for section in config.nav:
        if "Decisions" in section:
            section["Decisions"] = [f"decisions/{name}" for name in ["index.md", *records]]
    return config


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Let links between files of the repository lead to the pages of these files."""
    source = _source_of(page.file.src_uri)

    def linked(found: re.Match[str]) -> str:
        target = normpath(str(PurePosixPath(source).parent / found[2]))
        to = PAGES_OUTSIDE.get(target) or target.removeprefix("docs/")
        return found[1] + relpath(to, str(PurePosixPath(page.file.src_uri).parent))

    return LINK.sub(linked, markdown)


def on_post_page(output: str, page: Page, config: Any) -> str:
    """Take the scripts that the theme would fetch from the files beside the pages."""
    folder = str(PurePosixPath(page.file.dest_uri).parent)
    output = output.replace(f'"{SEARCH_FROM_ELSEWHERE}"', f'"{relpath(SEARCH_FROM_DISK, folder)}"')
    if 'class="mermaid"' in output:
        output = output.replace("</head>", f'<script src="{relpath(MERMAID, folder)}"></script></head>', 1)
    return output


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """Do so for the page of an address that is not there."""
    return output_content.replace(f'"{SEARCH_FROM_ELSEWHERE}"', f'"/{SEARCH_FROM_DISK}"')


def _source_of(page: str) -> str:
    """Return the file of the repository that a page is made of."""
    return next((source for source, name in PAGES_OUTSIDE.items() if name == page), f"docs/{page}")
