"""Kinds of metrics, as Prometheus has them: counters, histograms and gauges."""

from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from metrics.cells import Cell, Key, thread

# What has a number ready when a snapshot is taken, in place of cells.
readers: dict[Key, Callable[[], float]] = {}


class _Readable:
    """A metric whose number somebody has."""

    __slots__ = ()
    name: str

    def is_read_by(self, read: Callable[[], float], *labels: str) -> None:
        """Have ``read`` asked for the number of this process under these values of the labels; it must be quick."""
        readers[(self.name, *labels)] = read


@dataclass(frozen=True, slots=True)
class Counter(_Readable):
    """A number that grows. Its name ends in ``_total``."""

    type: ClassVar[str] = "counter"
    name: str
    help: str
    labels: tuple[str, ...] = ()

    def add(self, *labels: str, number: float = 1) -> None:
        """Count ``number`` more under the values of the labels."""
        cells = thread.cells
        key = (self.name, *labels)
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = [0]
        cell[0] += number


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values were at most as large as each of ``bounds``, and their sum."""

    type: ClassVar[str] = "histogram"
    name: str
    help: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...] = ()

    def observe(self, value: float, *labels: str) -> None:
        """Count a value under the values of the labels."""
        self.put((self.name, *labels), value)

    def observe_all(self, values: Collection[float], *labels: str) -> None:
        """Count each of the values under the values of the labels."""
        cell, bounds = self.cell((self.name, *labels)), self.bounds
        for value in values:
            cell[bisect_left(bounds, value)] += 1
        cell[-1] += sum(values)

    def put(self, key: Key, value: float) -> None:
        """Count a value under a key: the name and the values of the labels."""
        cell = self.cell(key)
        cell[bisect_left(self.bounds, value)] += 1
        cell[-1] += value

    def cell(self, key: Key) -> Cell:
        """Return the cell of this thread: a number for each bound, one for what is larger than all, and the sum."""
        cells = thread.cells
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = [0] * (len(self.bounds) + 2)
        return cell


@dataclass(frozen=True, slots=True)
class Gauge(_Readable):
    """A number that goes up and down. It is asked for when a snapshot is taken.

    Workers' numbers are added, or with ``largest`` the largest of them is taken.
    """

    type: ClassVar[str] = "gauge"
    name: str
    help: str
    labels: tuple[str, ...] = ()
    largest: bool = False


Metric = Counter | Histogram | Gauge
