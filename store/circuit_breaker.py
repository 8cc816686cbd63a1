"""A circuit breaker: while a server does not answer, it is not asked, so that requests fail at once."""

import threading
import time


class Breaker:
    """Opens when a request failed and none was answered in the second half of its time; one slow answer is fine.

    While it is open, one caller in every ``pause_seconds`` may try; an answer closes it. Safe between threads.
    """

    def __init__(self, *, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._open = False
        self._next_try = 0.0
        self._last_answer = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the server is left alone."""
        return self._open

    def allows(self) -> bool:
        """Return whether to ask the server now."""
        if not self._open:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._next_try:
                return False
            self._next_try = now + self._pause_seconds
            return True

    def succeeded(self) -> None:
        """Note that the server answered."""
        self._last_answer = time.monotonic()
        self._open = False

    def failed(self, *, asked_at: float) -> None:
        """Note that a question was not answered; ``asked_at`` is of ``time.monotonic()``."""
        with self._lock:
            now = time.monotonic()
            # Not since ``asked_at``: answers from just before the server stopped would keep it closed.
            if self._last_answer < (asked_at + now) / 2:
                self._open = True
                self._next_try = now + self._pause_seconds
