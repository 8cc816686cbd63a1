"""manage.py demo"""

import pytest

from events.counts import StartCounts
from events.domain import HOUR_MS, hour_of
from events.management.commands.demo import empty_days

# Two and a half hours into a day.
NOW_MS = 1_790_000_000_000 // 86_400_000 * 86_400_000 + 9_000_000


@pytest.mark.parametrize(
    ("starts", "empty_hours"),
    [
        ([0] * 721, 719.5),  # the first whole hour of the month, and all since
        ([0] + [100] * 720, 0),
        ([5] + [100] * 719 + [3], 0.5),  # the present hour
        ([100] * 481 + [0] * 238 + [900] * 2, 239.5),  # ten days ago, and a load test today
    ],
)
def test_a_second_demo_fills_the_hours_since_the_first(starts, empty_hours):
    hours = range(hour_of(NOW_MS) - 720 * HOUR_MS, hour_of(NOW_MS) + 1, HOUR_MS)
    month = StartCounts(hours, {"FI": starts})
    assert empty_days(month, now_ms=NOW_MS, events=144_000) * 24 == pytest.approx(empty_hours)
