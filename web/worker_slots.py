"""A number of slots: some callers have one, a few wait in a queue, and the rest are refused at once."""

from queue import Empty, SimpleQueue


class WorkerSlots:
    """``number`` slots, and a queue of at most ``waiting`` callers for up to ``seconds`` each. Safe between threads."""

    def __init__(self, number: int, *, waiting: int, seconds: float) -> None:
        # Tokens, not semaphores: this queue is implemented in C and hands over in a microsecond.
        self._slots, self._queue = _tokens(number), _tokens(waiting)
        self._number, self._waiting, self._seconds = number, waiting, seconds

    def used(self) -> int:
        """Return how many slots callers have."""
        return self._number - self._slots.qsize()

    def waiting(self) -> int:
        """Return how many callers wait for one."""
        return self._waiting - self._queue.qsize()

    def acquire(self) -> bool:
        """Return whether the caller has a slot, at once or after a wait; the caller then releases it."""
        # A caller queues behind those that wait: if new ones went first, the waiting ones could time out.
        if self._queue.qsize() < self._waiting:
            return self._wait_in_queue()
        try:
            self._slots.get_nowait()
        except Empty:
            return self._wait_in_queue()
        return True

    def release(self) -> None:
        """Let the next caller have the slot."""
        self._slots.put(None)

    def _wait_in_queue(self) -> bool:
        try:
            self._queue.get_nowait()
        except Empty:
            return False
        try:
            self._slots.get(timeout=self._seconds)
        except Empty:
            return False
        finally:
            self._queue.put(None)
        return True


def _tokens(number: int) -> SimpleQueue[None]:
    """Return so many things to take and put back."""
    queue: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        queue.put(None)
    return queue
