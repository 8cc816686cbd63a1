"""The settings, as ``sessions_project/settings.py`` and ``.env.example`` have them."""

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from documentation.blocks import PROJECT

SECTION = re.compile(r"^# --- (.+?) -+$")
READ = re.compile(r"""(?:_flag|_whole_number|_number|_list|_text)\(\s*["']([A-Z_]+)""")
WIDTH = 118
# Of the machine, or without one that could be written down.
DEFAULTS_IN_WORDS = {
    "SECRET_KEY": "none; one for development only",
    "ALLOWED_HOSTS": "`localhost,127.0.0.1,[::1]`; none in production",
    "WEB_WORKERS": "one for each core",
}


class Setting(NamedTuple):
    """A variable of the environment."""

    name: str
    section: str
    comment: str


def page() -> str:
    """Return the part of the page: a section for each of the module, a heading for each setting."""
    defaults = _defaults()
    lines: list[str] = []
    section = ""
    for setting in settings():
        if setting.section != section:
            section = setting.section
            lines += [f"## {section}", ""]
        lines += [f"### `{setting.name}`", "", f"Default: {_default(setting.name, defaults)}.", ""]
        lines += [setting.comment, ""] if setting.comment else []
    return "\n".join(lines)


def settings() -> Iterator[Setting]:
    """Yield the settings in the order of the module, each with the comment above it."""
    section, comment = "", []
    for line in (PROJECT / "sessions_project/settings.py").read_text().splitlines():
        if found := SECTION.match(line):
            section = found[1]
        if line.startswith("# ") and not found:
            comment.append(line.removeprefix("# "))
        elif (name := READ.search(line)) and not line.startswith((" ", "def")):
            yield Setting(name[1], section, _as_markdown(" ".join(comment)))
            comment = []
        else:
            comment = []


def _defaults() -> dict[str, str]:
    example = (PROJECT / ".env.example").read_text()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))


def _default(name: str, defaults: dict[str, str]) -> str:
    return DEFAULTS_IN_WORDS.get(name) or (f"`{defaults[name]}`" if defaults[name] else "empty")


def _as_markdown(comment: str) -> str:
    """Names of settings and what is quoted as code, in lines that fit."""
    text = re.sub(r'"([^"]+)"|\b([A-Z]+_[A-Z_]+)\b', lambda found: f"`{found[1] or found[2]}`", comment)
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
