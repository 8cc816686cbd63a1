"""Readers of the dearest questions beside a steady rate of batches, on the service as it is shipped."""

import random
import uuid
from collections.abc import Callable

import pytest

from benchmarks.mixed_clients import MixedLoad
from benchmarks.players import fill_player
from conftest import WebServer
from reports.cursors import encode_cursor
from reports.positions import Position

pytestmark = pytest.mark.alone

SESSIONS = 5_000
READERS, SECONDS = 40, 6


def test_no_batch_is_refused_beside_readers_of_the_most_expensive_reports(
    web_server: Callable[..., WebServer], player: str, now_ms: int
) -> None:
    fill_player(player, SESSIONS, now_ms=now_ms)
    web = web_server(WEB_WORKERS="1", REPORT_CACHE_SECONDS="50")

    def question(_: int) -> str:
        place = Position(now_ms - random.randrange(1_000_000), uuid.uuid4())  # so that no reply is cached
        return (
            f"/api/v1/reports/players/{player}/sessions/?state=all&cursor={encode_cursor(place, report='players.all')}"
        )

    load = MixedLoad(web.url, question=question).run(readers=READERS, seconds=SECONDS)
    assert load.batches.others == load.reports.others == []
    assert load.batches.refused == 0
    assert len(load.batches.good) > SECONDS
    assert load.reports.good
    assert load.reports.refused
