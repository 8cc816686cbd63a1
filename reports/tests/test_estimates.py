"""What a sample says of all, held against populations that are known."""

import random
from statistics import fmean, quantiles

import pytest

from reports.estimates import LEAST_MEMBERS, Estimate, mean, quantile, share

SAMPLES = 300
# How many groups are drawn, and about how many members one has: as many as the report draws at most, and at least.
SHAPES = [(64, 8), (25, 20)]
# Of 300 samples, 19 of 20 are 285; so few happen once in ten thousand runs, and the seed is fixed.
LEAST_RIGHT = 270


def population(*, members: int, alike: float) -> list[list[float]]:
    """2,000 groups of about so many lengths; ``alike`` is how much those of a group have in common."""
    chance = random.Random(25)
    groups = []
    for _ in range(2_000):
        common = chance.gauss(0, alike)
        groups.append([900 * chance.lognormvariate(common, 1) for _ in range(chance.randrange(2 * members + 1))])
    return groups


@pytest.mark.parametrize("alike", [0.0, 0.5])
@pytest.mark.parametrize(("number", "members"), SHAPES)
def test_19_of_20_intervals_hold_what_is_true_also_when_members_of_a_group_are_alike(number, members, alike):
    groups = population(members=members, alike=alike)
    every = [length for group in groups for length in group]
    tenths = quantiles(every, n=10, method="inclusive")
    is_long = 1_800
    truth = {
        "mean": fmean(every),
        "share": sum(length > is_long for length in every) / len(every),
        "median": tenths[4],
        "p90": tenths[8],
    }
    right = dict.fromkeys(truth, 0)
    for seed in range(SAMPLES):
        drawn = random.Random(seed).sample(groups, number)
        long_ones = [(float(sum(length > is_long for length in group)), len(group)) for group in drawn]
        estimates = {
            "mean": mean([(sum(group), len(group)) for group in drawn], of=len(groups)),
            "share": share(long_ones, of=len(groups)),
            "median": quantile(drawn, 0.5, of=len(groups)),
            "p90": quantile(drawn, 0.9, of=len(groups)),
        }
        for name, estimate in estimates.items():
            right[name] += estimate.low <= truth[name] <= estimate.high
    assert all(times >= LEAST_RIGHT for times in right.values()), right


def test_it_is_exact_when_every_group_was_drawn():
    groups = [[1.0], [2.0, 3.0], []]
    assert mean([(sum(group), len(group)) for group in groups], of=3) == Estimate(2, 2, 2)
    assert quantile(groups, 0.5, of=3) == Estimate(2, 2, 2)
    assert share([(1.0, 1), (0.0, 2), (0.0, 0)], of=3) == Estimate(1 / 3, 1 / 3, 1 / 3)


def test_of_nobody_there_is_nothing_to_say():
    assert mean([], of=0) is share([], of=0) is quantile([], 0.5, of=0) is None
    assert share([(0.0, 0), (0.0, 0)], of=9) is None


def test_of_few_members_no_bounds_are_told():
    few = [[float(number)] for number in range(LEAST_MEMBERS - 1)]
    assert quantile(few, 0.9, of=1_000) is None
    assert mean([(sum(group), 1) for group in few], of=1_000) is None
    assert quantile([*few, [99.0]], 0.9, of=1_000) is not None


def test_what_was_not_seen_in_a_sample_may_be_there():
    nobody = share([(0.0, 5)] * 100, of=2_000)
    everybody = share([(5.0, 5)] * 100, of=2_000)
    assert (nobody.low, nobody.value, everybody.value, everybody.high) == (0, 0, 1, 1)
    assert 0.003 < nobody.high < 0.01
    assert 0.99 < everybody.low < 0.997
