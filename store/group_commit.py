"""Group commit: writes that would have to wait for each other are sent together, as one.

While few writes are in flight, each is sent at once and alone. Beyond that, new writes are gathered until one in flight
has ended, and are then sent as one. So the busier the store, the larger its batches, and the less a row costs.
"""

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from store.errors import StoreError, StoreUnavailable

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Gives the statements of many threads to ``write``.

    At most ``at_a_time`` calls are in flight, each of at most ``most_statements`` unless one caller has more.

    ``write(statements, seconds=...)`` stores all or none of them, or raises StoreError.
    """

    def __init__(self, write: Callable[..., None], *, at_a_time: int, most_statements: int) -> None:
        self._write = write
        self._most_statements = most_statements
        self._gathering: _Group[T] | None = None
        self._lock = threading.Lock()
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(at_a_time):
            self._turns.put(None)

    def write(self, statements: Sequence[T], *, seconds: float) -> None:
        """Return once the statements are durable. Raises StoreError when they are not.

        The caller that begins a group waits for its turn, and writes for all that have joined until then, within its
        own ``seconds``.
        """
        until = time.monotonic() + seconds
        with self._lock:
            group = self._gathering
            begins = group is None or len(group.statements) + len(statements) > self._most_statements
            if group is None or begins:
                group = self._gathering = _Group()
            group.statements += statements
        if begins:
            self._write_group(group, until=until)
        else:
            group.ended.wait()
        if not group.durable:
            raise type(group.error)(str(group.error))

    def _write_group(self, group: "_Group[T]", *, until: float) -> None:
        try:
            self._turns.get(timeout=max(until - time.monotonic(), 0))
        except Empty:
            self._close(group)
            group.ended.set()
            return
        try:
            self._close(group)
            self._write(group.statements, seconds=until - time.monotonic())
            group.durable = True
        except StoreError as error:
            group.error = error
        finally:
            self._turns.put(None)
            group.ended.set()

    def _close(self, group: "_Group[T]") -> None:
        """Let no caller join the group from now on."""
        with self._lock:
            if self._gathering is group:
                self._gathering = None


class _Group(Generic[T]):
    """Statements that become durable together, or not at all."""

    def __init__(self) -> None:
        self.statements: list[T] = []
        self.ended = threading.Event()
        self.durable = False
        self.error: StoreError = StoreUnavailable("Writes take long.")
