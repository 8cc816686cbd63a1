"""The page's modules as one script: a browser asks once. They lie in ``static/dashboard`` as people read them.

Each becomes a function that is called once, in the order in which they need each other, and returns what it exports.
So they keep what is theirs to themselves, as modules do. That takes two forms of statement: ``import { … } from
"./….js";`` on one line, and ``export`` before a declaration.
"""

import re
from functools import cache
from hashlib import blake2b
from pathlib import Path

MODULES = Path(__file__).parent / "static" / "dashboard"
FIRST = "main.js"
IMPORT = re.compile(r'^import \{ (.+) \} from "\./(.+)";$', re.MULTILINE)
# Whole lines of comments, which are for readers of the modules: a fifth of the script.
COMMENT = re.compile(r"^ *(?:/\*\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
# It means nothing: the modules have no text that goes over lines. 2 % of the script as it is sent.
INDENTATION = re.compile(r"^ +", re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|function|class) (\w+))", re.MULTILINE)


@cache
def collected() -> str:
    """Return the script."""
    modules = "".join(f"modules[{name!r}] = (() => {{\n{_as_function(name)}}})();\n" for name in _in_order(FIRST, []))
    return f'"use strict";\n(() => {{\nconst modules = {{}};\n{modules}}})();\n'


@cache
def version() -> str:
    """Return a name of the script's content."""
    return blake2b(collected().encode(), digest_size=8).hexdigest()


def _in_order(name: str, before: list[str]) -> list[str]:
    """Return the modules: those that are needed first, and each once."""
    for _, needed in IMPORT.findall(_source(name)):
        if needed not in before:
            before = _in_order(needed, before)
    return before if name in before else [*before, name]


def _as_function(name: str) -> str:
    source = INDENTATION.sub("", COMMENT.sub("", _source(name)))
    exported = ", ".join(match[1] for match in EXPORT.finditer(source))
    body = EXPORT.sub("", IMPORT.sub(r"const { \1 } = modules['\2'];", source))
    return f"{body}return {{ {exported} }};\n"


def _source(name: str) -> str:
    return (MODULES / name).read_text()
