"""An iterator whose items are produced by a thread, so that its reader need not wait for the next one."""

import threading
from collections.abc import Iterator
from queue import Empty, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ReadAhead(Generic[Item]):
    """Holds up to ``most`` items of ``items``, 0 any number, which a thread reads.

    The thread ends with the process, also when nobody takes the remaining items.
    """

    def __init__(self, items: Iterator[Item], *, most: int = 0) -> None:
        self._items = items
        self._there: Queue[Item | Exception] = Queue(most)
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> Item | None:
        """Return the next item, or None when it is not there yet.

        Raises StopIteration behind the last one, or what reading raised.
        """
        try:
            return _item_or_raised(self._there.get_nowait())
        except Empty:
            return None

    def wait(self) -> Item:
        """Return the next item, once it is there. Raises likewise."""
        return _item_or_raised(self._there.get())

    def _read(self) -> None:
        try:
            for item in self._items:
                self._there.put(item)
            self._there.put(StopIteration())
        except Exception as error:
            self._there.put(error)


def _item_or_raised(item: Item | Exception) -> Item:
    if isinstance(item, Exception):
        raise item
    return item
