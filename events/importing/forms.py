"""Formats of files that hold no JSON lines, and how to convert them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

TAR_MARK, TAR_AT = b"ustar", 257
IMPORT = "manage.py import_sessions -"


class Form(NamedTuple):
    """What the file is, to follow "is", and what to do, as a sentence."""

    name: str
    remedy: str


def _packed(name: str, tool: str) -> Form:
    return Form(name, f"Unpack it: {tool} FILE | {IMPORT}")


_UTF_16 = Form("UTF-16", f"Recode it: iconv -f UTF-16 -t UTF-8 FILE | {IMPORT}")
# By what they begin with.
_BINARY = {
    b"PK\x03\x04": _packed("a zip archive", "unzip -p"),
    b"\x28\xb5\x2f\xfd": _packed("packed by zstd", "zstd -dc"),
    b"\xfd7zXZ\0": _packed("packed by xz", "xz -dc"),
    b"\x04\x22\x4d\x18": _packed("packed by lz4", "lz4 -dc"),
    b"7z\xbc\xaf\x27\x1c": _packed("a 7-Zip archive", "7z x -so"),
    b"\x1f\x8b": Form("packed twice, by gzip inside", f"Take one packing off: zcat or bzcat FILE | {IMPORT}"),
    b"BZh": Form("packed twice, by bzip2 inside", f"Take one packing off: zcat or bzcat FILE | {IMPORT}"),
    b"PAR1": Form("Parquet", "Export it as JSON lines."),
    b"Obj\x01": Form("Avro", "Export it as JSON lines."),
    b"SQLite format 3\0": Form("an SQLite database", "Export it as JSON lines."),
    b"%PDF-": Form("a PDF", "Name the dump."),
    b"\xff\xfe\0\0": Form("UTF-32", f"Recode it: iconv -f UTF-32 -t UTF-8 FILE | {IMPORT}"),
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"{\0": _UTF_16,
    b"\0{": _UTF_16,
}
_TAR = Form("a tar archive", f"Unpack it: tar -xOf FILE | {IMPORT}")

_ARRAY = Form("a JSON array", f"Make JSON lines of it: jq -c '.[]' FILE | {IMPORT}")
_PRETTY = Form("JSON with several lines for each object", f"Make JSON lines of it: jq -c . FILE | {IMPORT}")
_SEVERAL = Form("JSON with several objects on a line", f"Make JSON lines of it: jq -c . FILE | {IMPORT}")
_PYTHON = Form("Python's notation, not JSON", "Write it with json.dumps, one event a line.")
_CSV = Form("CSV", f"Make JSON lines of it, such as with Miller: mlr --icsv --ojsonl cat FILE | {IMPORT}")
_WEB_PAGE = Form("a web page, perhaps of an error or a login", "Fetch the dump anew.")
_XML = Form("XML", "Export the events as JSON lines.")
_LFS = Form("a pointer of Git LFS, not the file", "Fetch the file: git lfs pull")
_ZEROS = Form("nothing but zero bytes: it was made and never filled", "Look for another copy.")


def binary_form(head: bytes) -> Form | None:
    """Return the form of a file that is not text, by its first bytes; None when they are of none that is known here."""
    if head[TAR_AT : TAR_AT + len(TAR_MARK)] == TAR_MARK:
        return _TAR
    return next((form for magic, form in _BINARY.items() if head.startswith(magic)), None)


def text_form(lines: Sequence[str]) -> Form | None:
    """Return the likely form of a text whose first lines are all rejected; None when they may well be JSON lines."""
    text = "\n".join(lines).lstrip("\ufeff \t\r\n")
    first = text.split("\n", 1)[0].rstrip()
    if not text.strip("\0\n"):
        return _ZEROS if "\0" in text else None
    if text.startswith("<"):
        return _WEB_PAGE if re.match(r"<(!doctype html|html|head|body)\b", text, re.IGNORECASE) else _XML
    if text.startswith("version https://git-lfs"):
        return _LFS
    if text.startswith("["):
        return _ARRAY
    return _object_form(text, first) if text.startswith("{") else _CSV if _is_csv(lines) else None


def _object_form(text: str, first: str) -> Form | None:
    if re.match(r"\{\s*'", text):
        return _PYTHON
    if envelope := re.match(r'\{\s*"(\w+)"\s*:\s*\[', text):
        name = envelope[1]
        return Form("one JSON object around the events", f"Take it off: jq -c '.{name}[]' FILE | {IMPORT}")
    if re.search(r"\}\s*\{", first):
        return _SEVERAL
    return None if "}" in first else _PRETTY


def _is_csv(lines: Sequence[str]) -> bool:
    """Return whether all have as many commas, semicolons or tabs, which are at least two."""
    for separator in (",", ";", "\t"):
        numbers = {line.count(separator) for line in lines if line.strip()}
        if len(numbers) == 1 and min(numbers) >= 2:
            return True
    return False
