"""One answer for all who would have to wait for each other to ask the same.

An answer that is under way may be of a moment before they came, so they wait for the next one: it is begun when that
has ended, and is for everybody who has come until then. So a question that many ask is under way once at a time.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any

from sessions_project.cassandra import StoreUnavailable


class Coalescing:
    """The questions of this process's threads to the store."""

    def __init__(self) -> None:
        self._gathering: dict[Hashable, _Round] = {}
        self._under_way: dict[Hashable, _Round] = {}
        self._lock = threading.Lock()

    def answer(self, question: Hashable, ask: Callable[[], Any], *, seconds: float) -> Any:
        """What ``ask`` returned, the caller's own or that of another with the same ``question``; it was called after
        this was. Raises StoreUnavailable when there is none within ``seconds``."""
        with self._lock:
            begins = question not in self._gathering
            ours = self._gathering.setdefault(question, _Round())
            before = self._under_way.get(question)
        if begins:
            in_time = before is None or before.ended.wait(seconds)
            self._end_gathering(question, ours, ask if in_time else None)
        else:
            ours.ended.wait(seconds)
        if not ours.answered:
            raise StoreUnavailable("What other requests want to know as well is not answered in time.")
        return ours.answer

    def _end_gathering(self, question: Hashable, ours: "_Round", ask: Callable[[], Any] | None) -> None:
        """Nobody joins from now on; those who have get the answer."""
        with self._lock:
            del self._gathering[question]
            if ask:
                self._under_way[question] = ours
        try:
            if ask:
                ours.answer = ask()
                ours.answered = True
        finally:
            with self._lock:
                if self._under_way.get(question) is ours:
                    del self._under_way[question]
            ours.ended.set()


class _Round:
    """One time that a question is asked."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.answered = False
        self.answer: Any = None
