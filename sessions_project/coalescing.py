"""One answer for all who would have to wait for each other to ask the same.

An answer that is under way may be of a moment before they came, so they wait for the next one: it is begun when that
has ended, and is for everybody who has come until then. So a question that many ask is under way once at a time.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

from sessions_project.cassandra import StoreUnavailable

log = logging.getLogger(__name__)


class Coalescing:
    """The questions of this process's threads to the store."""

    def __init__(self) -> None:
        self._gathering: dict[Hashable, _Round] = {}
        self._under_way: dict[Hashable, _Round] = {}
        self._lock = threading.Lock()

    def answer(self, question: Hashable, ask: Callable[[], Any], *, deadline: float) -> Any:
        """What ``ask`` returned, the caller's own or that of another with the same ``question``; it was called after
        this was. Raises StoreUnavailable when it does, or when there is no answer at ``deadline``, a moment of
        ``time.monotonic()``."""
        while True:
            with self._lock:
                leads = question not in self._gathering
                ours = self._gathering.setdefault(question, _Round())
                ours.callers += 1
                before = self._under_way.get(question)
            if leads:
                self._lead(ours, question, ask, before=before, deadline=deadline)
            else:
                ours.ended.wait(deadline - time.monotonic())
            if ours.answered:
                return ours.answer
            # Whoever led may have come with less time than others have.
            if leads or not ours.out_of_time or time.monotonic() >= deadline:
                raise StoreUnavailable(ours.reason)

    def _lead(
        self, ours: "_Round", question: Hashable, ask: Callable[[], Any], *, before: "_Round | None", deadline: float
    ) -> None:
        """Ask for all who have joined when the answer that is under way has ended."""
        try:
            if before is None or before.ended.wait(deadline - time.monotonic()):
                with self._lock:  # nobody joins from now on
                    del self._gathering[question]
                    self._under_way[question] = ours
                log.debug("One answer for %d", ours.callers)
                ours.answer = ask()
                ours.answered = True
        except StoreUnavailable as error:
            ours.reason = str(error)
            raise
        finally:
            with self._lock:
                for rounds in (self._gathering, self._under_way):
                    if rounds.get(question) is ours:
                        del rounds[question]
            ours.out_of_time = time.monotonic() >= deadline
            ours.ended.set()


class _Round:
    """One time that a question is asked."""

    def __init__(self) -> None:
        self.callers = 0
        self.ended = threading.Event()
        self.answered = False
        self.answer: Any = None
        self.out_of_time = False
        self.reason = "What other requests ask as well takes long."
