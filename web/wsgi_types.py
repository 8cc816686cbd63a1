"""What a WSGI stage is made of (PEP 3333)."""

from collections.abc import Callable, Iterable

Application = Callable[..., Iterable[bytes]]
Headers = list[tuple[str, str]]
