"""A number of places: some callers have one, a few wait for one, and the rest are told at once that there is none."""

from queue import Empty, SimpleQueue


class WorkerSlots:
    """So many places, for each of which at most ``waiting`` callers wait up to ``seconds``. Safe between threads."""

    def __init__(self, number: int, *, waiting: int, seconds: float) -> None:
        # Tokens, not semaphores: a queue is C throughout and hands over in a microsecond.
        self._places, self._queue = _tokens(number), _tokens(waiting)
        self._waiting, self._seconds = waiting, seconds

    def take(self) -> bool:
        """Whether there was one, or became free in time; whoever has it gives it back."""
        # Whoever comes while others wait goes behind them; overtaken again and again, they would be refused.
        if self._queue.qsize() < self._waiting:
            return self._wait_in_queue()
        try:
            self._places.get_nowait()
        except Empty:
            return self._wait_in_queue()
        return True

    def release(self) -> None:
        """Let the next one have it."""
        self._places.put(None)

    def _wait_in_queue(self) -> bool:
        try:
            self._queue.get_nowait()
        except Empty:
            return False
        try:
            self._places.get(timeout=self._seconds)
        except Empty:
            return False
        finally:
            self._queue.put(None)
        return True


def _tokens(number: int) -> SimpleQueue[None]:
    """So many things to take and put back."""
    queue: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        queue.put(None)
    return queue
