"""Counts that are kept: by the row, a batch for each day, however much that is."""

import time

from events.counts import UPDATE_DAY
from events.domain import DAY_MS, SECOND_MS, day_of
from events.keeping import Keeping
from sessions_project import cassandra

DAYS = 40
# As long as of a day of 40 countries; the rows of all days together are more than Cassandra takes in one batch over
# partitions. It is what a day without starts may have: other tests may read it.
TEXT = "{" + " " * 5_000 + "}"


def keeping_at(now_ms: int, *, seconds: float = 10) -> Keeping:
    return Keeping(now_ms, time.monotonic() + seconds)


def kept(day_ms: int) -> list[str | None]:
    query = "SELECT DISTINCT day_starts FROM {keyspace}.country_hour WHERE day = ?"
    return [text for (text,) in cassandra.execute(query, (day_ms,))]


def test_it_works(now_ms: int) -> None:
    keeping = keeping_at(now_ms)
    # Days that no other test asks for.
    days = [day_of(now_ms) - 300 * DAY_MS - number * DAY_MS for number in range(DAYS)]
    for day in days:
        keeping.keep(UPDATE_DAY, (TEXT, "{}"), key=(day,), until_ms=day + DAY_MS)
    keeping.send()
    keeping.finish()
    assert all(kept(day) == [TEXT] for day in days)


def test_what_is_older_than_the_retention_is_not_kept(now_ms: int, settings) -> None:
    settings.RETENTION_SECONDS = 360 * DAY_MS // SECOND_MS
    keeping, day = keeping_at(now_ms), day_of(now_ms) - 362 * DAY_MS
    keeping.keep(UPDATE_DAY, (TEXT, "{}"), key=(day,), until_ms=day + DAY_MS)
    keeping.send()
    keeping.finish()
    assert not kept(day)


def test_a_report_that_has_no_time_left_does_not_wait(now_ms: int) -> None:
    keeping, day = keeping_at(now_ms, seconds=-1), day_of(now_ms) - 299 * DAY_MS
    keeping.keep(UPDATE_DAY, (TEXT, "{}"), key=(day,), until_ms=day + DAY_MS)
    began = time.monotonic()
    keeping.send()
    keeping.finish()
    assert time.monotonic() - began < 1
