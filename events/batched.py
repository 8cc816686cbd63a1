"""``itertools.batched`` of Python 3.12, for sequences."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batched(sequence: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the sequence in pieces of ``size``, the last of which may be shorter.

    >>> [*batched("abcde", 2)]
    ['ab', 'cd', 'e']
    """
    for first in range(0, len(sequence), size):
        yield sequence[first : first + size]
