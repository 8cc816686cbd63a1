"""The stage in front of an application that says what it was asked, with keys that a test makes."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from access.authorization import Authorization
from access.key_set import KeySet
from access.keys import Key, new_key, stored_form
from access.limits import EVENTS_BROUGHT, Limits
from sessions_project.scopes import scope_needed


class Reply(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for one, value in self.headers if one == name]

    @property
    def problem(self) -> str:
        return str(json.loads(self.body)["type"]).rpartition(":")[2]


class Gate:
    """A service of one stage. What it lets in is in ``seen``; each request brings as many events as it says."""

    def __init__(self, *, default_rate: int = 0, dry_run: bool = False) -> None:
        self.stored: list[Key] = []
        self.answer = "200 OK"
        self.seen: list[Mapping[str, Any]] = []
        self.key_set = KeySet(lambda: self.stored)
        self.limits = Limits(default_rate=default_rate, dry_run=dry_run, exchange=lambda _: None)
        self._stage = Authorization(self._application, keys=self.key_set, limits=self.limits, scope_needed=scope_needed)

    def new_key(self, *scopes: str, **options: Any) -> str:
        text = new_key(scopes)
        self.stored.append(stored_form(text, scopes=scopes, name="test", created_ms=0, **options))
        self.key_set.refresh()
        return text

    def ask(
        self, path: str, authorization: str | None = None, *, method: str = "GET", events: int = 1, **more: str
    ) -> Reply:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "wsgi.url_scheme": "http",
            "asked.events": events,
            **({} if authorization is None else {"HTTP_AUTHORIZATION": authorization}),
            **more,
        }
        heads: list[Any] = []
        body = b"".join(self._stage(environ, lambda *head: heads.extend(head)))
        return Reply(int(heads[0][:3]), heads[1], body)

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.seen.append(environ)
        environ[EVENTS_BROUGHT] = environ["asked.events"]
        start_response(self.answer, [("Vary", "Accept")])
        return [b"let in"]


@pytest.fixture
def gate() -> Gate:
    return Gate()
