"""Parts of the ring: what reads a whole table reads one of them after the other."""

from collections.abc import Iterator

FIRST_TOKEN, LAST_TOKEN = -(2**63), 2**63 - 1


def token_ranges(number: int) -> Iterator[tuple[int, int]]:
    """Yield so many ranges of about the same size, a power of two: the token before each, and its last token.

    >>> [*token_ranges(2)] == [(FIRST_TOKEN, 0), (0, LAST_TOKEN)]
    True
    """
    size = (LAST_TOKEN - FIRST_TOKEN + 1) // number
    for after in range(FIRST_TOKEN, LAST_TOKEN, size):
        yield after, min(after + size, LAST_TOKEN)
