"""Clients that work side by side while a test does something to the service."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

from access import key_store
from access.keys import ID, new_key, stored_form


class Clients:
    """Use it as a context: each thread runs ``work`` until the end of the block, where the first failure is raised."""

    def __init__(self, number: int) -> None:
        self.stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def work(self, number: int) -> None:
        """What client ``number`` does until ``stop`` is set."""
        raise NotImplementedError

    def _run(self, number: int) -> None:
        try:
            self.work(number)
        except BaseException as failure:
            self._failures.append(failure)


def wait_for(condition: Callable[[], object]) -> None:
    """Return once it is true, in 5 s at most."""
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def store_key(*scopes: str, name: str | None = None, **more: Any) -> str:
    """Store a new key, of a name that no other has, and return it; a service knows it within three seconds."""
    text = new_key(scopes)
    key_store.add(stored_form(text, scopes=scopes, name=name or f"k{text[ID]}", created_ms=time.time() * 1000, **more))
    return text
