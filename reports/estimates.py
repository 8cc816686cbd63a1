"""What a sample says of all: a value, and between which two the true one lies for 19 of 20 samples.

What there is lies in groups. Some groups are drawn, each as likely as any other and none twice, and of a drawn group
every member is seen. So every member is as likely to be seen as any other one. Members of a group may be alike; how
much the groups differ from each other tells how far the value may be wrong (W. G. Cochran, Sampling Techniques,
chapters 6 and 9). When every group is drawn, it is exact.
"""

from collections.abc import Sequence
from itertools import chain
from math import sqrt
from typing import NamedTuple

# Of the normal distribution 95 % lie so many standard errors around the middle. Of few groups the error itself is a
# guess, so it is more: 2.07 of 24 and 2.00 of 64, as Student's distribution has it, to 0.02 from 11 groups on.
SPREAD = 1.96
MORE_SPREAD = 2.5
# Of fewer members a quantile's bounds would be the smallest and the largest that were seen.
LEAST_MEMBERS = 30

# Of each group that was drawn: how much there is of something, and of how many members.
Parts = Sequence[tuple[float, int]]


class Estimate(NamedTuple):
    """A value and its bounds; they are the value itself where it is exact."""

    value: float
    low: float
    high: float

    def times(self, number: int) -> "Estimate":
        """Return what follows from a share of so many."""
        return Estimate(self.value * number, self.low * number, self.high * number)


def mean(parts: Parts, *, of: int) -> Estimate | None:
    """Return how much a member has, of ``of`` groups; None: too few members were seen.

    >>> mean([(10.0, 1), (30.0, 1)], of=2)
    Estimate(value=20.0, low=20.0, high=20.0)
    """
    if not _are_enough(_members(parts), is_exact=len(parts) == of):
        return None
    value = _ratio(parts)
    margin = _spread(parts) * sqrt(_variance(parts, of=of))
    return Estimate(value, value - margin, value + margin)


def share(parts: Parts, *, of: int) -> Estimate | None:
    """Return which share of the members is of a kind, of ``of`` groups; None: no member was seen.

    The bounds are Wilson's: they stay between 0 and 1, and of a kind that was not seen they do not say that there is
    none. The number of members is taken as that which chosen one by one would tell as much.
    """
    members = _members(parts)
    if not members:
        return None
    value, variance = _ratio(parts), _variance(parts, of=of)
    if len(parts) == of:
        return Estimate(value, value, value)
    number = value * (1 - value) / variance if variance else members / (1 - len(parts) / of)
    square = _spread(parts) ** 2 / number
    middle = (value + square / 2) / (1 + square)
    margin = sqrt(square * (value * (1 - value) + square / 4)) / (1 + square)
    return Estimate(value, max(middle - margin, 0.0), min(middle + margin, 1.0))


def quantile(groups: Sequence[Sequence[float]], below: float, *, of: int) -> Estimate | None:
    """Return the value that this share of the members is ``below``, of ``of`` groups; None: too few members were seen.

    The bounds are Woodruff's: those of the share, as values.

    >>> quantile([[10.0], [20.0], [40.0]], 0.5, of=3)
    Estimate(value=20.0, low=20.0, high=20.0)
    """
    ordered = sorted(chain.from_iterable(groups))
    if not _are_enough(len(ordered), is_exact=len(groups) == of):
        return None
    value = _at(ordered, below)
    parts = [(float(sum(member <= value for member in group)), len(group)) for group in groups]
    margin = _spread(parts) * sqrt(_variance(parts, of=of))
    return Estimate(value, _at(ordered, below - margin), _at(ordered, below + margin))


def _are_enough(members: int, *, is_exact: bool) -> bool:
    return members >= (1 if is_exact else LEAST_MEMBERS)


def _members(parts: Parts) -> int:
    return sum(members for _, members in parts)


def _ratio(parts: Parts) -> float:
    return sum(amount for amount, _ in parts) / _members(parts)


def _variance(parts: Parts, *, of: int) -> float:
    """Return that of the ratio of two sums over the groups, both of which differ from sample to sample."""
    drawn = len(parts)
    if drawn == of:
        return 0.0
    ratio = _ratio(parts)
    squares = sum((amount - ratio * members) ** 2 for amount, members in parts)
    return (1 - drawn / of) * drawn / (drawn - 1) * squares / _members(parts) ** 2


def _spread(parts: Parts) -> float:
    """Return how many standard errors the bounds are away."""
    return SPREAD + MORE_SPREAD / max(len(parts) - 1, 1)


def _at(ordered: Sequence[float], below: float) -> float:
    """Return the value at a share of the way from the smallest to the largest, between two of them if need be."""
    place = min(max(below, 0.0), 1.0) * (len(ordered) - 1)
    index = int(place)
    following = ordered[min(index + 1, len(ordered) - 1)]
    return ordered[index] + (following - ordered[index]) * (place - index)
