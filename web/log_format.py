"""Log lines for people: one line for each record, whatever its message contains."""

import logging
from typing import Any


class ReadableFormatter(logging.Formatter):
    """One line for a record, whatever its message says; the lines of a traceback are indented.

    Characters that are not printable are escaped: a path can contain line breaks of all kinds, colours of a terminal,
    and characters that change the direction of writing. JSON escapes them anyway.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        return escaped(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # logging's name
        return _indented(super().formatStack(stack_info))


def escaped(text: str) -> str:
    r"""Return the text with escapes such as ``\n`` for characters that are not printable."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _indented(text: str) -> str:
    return "\n".join(f"    {escaped(line)}" for line in text.splitlines())
