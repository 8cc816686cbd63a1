"""What a WSGI stage is made of (PEP 3333), and how it looks at a reply before it is sent."""

from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[..., Iterable[bytes]]
Headers = list[tuple[str, str]]


def answer_of(application: Application, environ: dict[str, Any]) -> tuple[Any, Iterable[bytes]]:
    """Return the head of a reply, as ``start_response`` takes it, and its body, before any of it is sent."""
    heads: list[Any] = []
    reply = application(environ, lambda *head: heads.append(head))
    return heads[-1], reply


def whole(reply: Iterable[bytes]) -> bytes:
    """Return the body in one piece, and close the reply."""
    body = b"".join(reply)
    close(reply)
    return body


def close(reply: Iterable[bytes]) -> None:
    """Free what a reply holds, if it holds anything."""
    getattr(reply, "close", lambda: None)()
