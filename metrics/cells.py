"""The numbers of this process: cells that each thread has for itself, so that counting takes no lock.

A cell is a list of numbers under a key: the name of a metric and the values of its labels. Two cells of one key are
added number by number, whosever they are: of two threads, of two processes, of one that has ended.
"""

import threading
import weakref
from collections.abc import Iterable

Key = tuple[str, ...]
Cell = list[float]
Cells = dict[Key, Cell]

_lock = threading.Lock()
_living: dict[int, Cells] = {}
_ended: Cells = {}


class _Owner:
    """Ends with its thread."""

    __slots__ = ("__weakref__",)


def _keep(owner: int) -> None:
    with _lock:
        add(_ended, _living.pop(owner).items())


class _Thread(threading.local):
    """The cells of the thread that looks at it, which only this thread may change.

    What a thread has counted stays when it ends.
    """

    def __init__(self) -> None:
        self.cells: Cells = {}
        owner = _Owner()
        self._owner = owner
        with _lock:
            _living[id(owner)] = self.cells
        weakref.finalize(owner, _keep, id(owner))


# Looked up at each count, so not behind a function.
thread = _Thread()


def totals() -> Cells:
    """Return the sum of all threads, of those that have ended, too. Others may count meanwhile."""
    with _lock:
        total = {key: [*cell] for key, cell in _ended.items()}
        living = [*_living.values()]
    for cells in living:
        add(total, list(cells.items()))
    return total


def add(total: Cells, cells: Iterable[tuple[Key, Cell]]) -> None:
    """Add cells to those of ``total``, number by number."""
    for key, cell in cells:
        there = total.get(key)
        total[key] = [*cell] if there is None else [one + other for one, other in zip(there, cell, strict=True)]
