"""manage.py demo"""

import uuid

from events.domain import Event
from events.management.commands.demo import DAYS, _empty_days
from events.services import record_events


def test_a_second_demo_fills_only_the_time_since_the_first(player, country, now_ms):
    record_events([Event("start", player, uuid.uuid4(), now_ms, country)], now_ms=now_ms)
    assert _empty_days(now_ms=now_ms, events=2) == 0
    assert 1.9 < _empty_days(now_ms=now_ms + 2 * 86_400_000 + 3_600_000, events=2) <= 2.1
    assert _empty_days(now_ms=now_ms, events=10**9) == DAYS
