"""The formulas of the capacity page by hand, the constants that they share with the code, and the page itself."""

import json
import re
import uuid
from itertools import product
from pathlib import Path
from string import ascii_uppercase

import pytest

from benchmarks import capacity
from benchmarks.capacity import Load
from caching import memory
from conftest import PROJECT
from embedded.cassandra import CassandraNode
from events import commits, domain, late_writes, models, services
from events.counting import background, hours, minutes, validity
from store import cassandra

# Ten starts a second, of two countries with 6 and 4; one in ten is late, by 2 to 60 minutes.
SMALL = Load(events_per_second=20, countries=2, largest_share=0.6, late_hours=1, processes=2)


def test_the_rates_of_the_example_are_what_they_are_by_hand():
    load = Load()
    assert (capacity.starts(load), capacity.ends(load), capacity.late_starts(load)) == (40_000, 40_000, 4_000)
    assert (capacity.requests(load), capacity.starts_of_largest(load)) == (8_000, 12_000)
    assert capacity.statements(load) == 2 * 80_000 + 4_000
    assert sum(capacity.shares(load)) == pytest.approx(1)
    assert capacity.shares(load)[2] / capacity.shares(load)[1] == pytest.approx(0.97)


def test_shards_follow_from_the_largest_country_and_have_a_bound():
    load = Load()
    assert pytest.approx(31.97, abs=0.01) == 12_000 * 3_600 * 74 / 100e6
    assert capacity.shards_of_largest(load) == 32
    assert capacity.largest_start_partition(load) == pytest.approx(12_000 * 3_600 * 74 / 32)
    assert capacity.shards_of_largest(load.times(10)) == domain.MOST_SHARDS


def test_a_requests_mutations_are_its_different_countries():
    """Five starts of two countries, 0.6 and 0.4: 1 - 0.4^5 of the one and 1 - 0.6^5 of the other, two requests/s."""
    assert capacity.country_updates(SMALL) == pytest.approx(2 * (1 - 0.4**5 + 1 - 0.6**5))


def test_markers_of_one_process_go_together_when_they_would_wait():
    """Two requests a second with five starts each: 0.41 of them have a late one, so each process has 0.41 a second."""
    assert capacity.requests_with_late(SMALL) == pytest.approx(2 * (1 - 0.9**5))
    assert capacity.marker_commits(SMALL) == pytest.approx(0.819, abs=0.001)
    # A commit of ten seconds: one after the other, without a pause.
    slow = Load(events_per_second=20_000, processes=2, commit_ms=10_000)
    assert capacity.marker_commits(slow) == pytest.approx(2 / 10)


def test_lateness_gives_every_time_the_chance_of_its_double():
    late = capacity.lateness(SMALL)
    assert sum(late) == pytest.approx(1)
    from_2_to_4, from_15_to_30 = sum(late[0:2]), sum(late[13:28])
    assert from_2_to_4 == pytest.approx(from_15_to_30)


def test_minutes_written_late_are_counted_once_however_many_starts_each_has():
    few, many = capacity.cells_written_late(SMALL, seconds=0.001), capacity.cells_written_late(SMALL, seconds=1e9)
    assert few == pytest.approx(0.001, rel=0.01)  # one late start a second, so each has a minute of its own
    assert many == pytest.approx(2 * 58)  # minutes 2 to 59 of both countries


def test_rows_counted_again_are_the_starts_of_the_minutes_written_late():
    """All of them in a very long second: 58 minutes of 360 and of 240 starts."""
    assert capacity.rows_counted_again(SMALL, seconds=1e9) == pytest.approx(58 * (360 + 240))
    assert capacity.counting_seconds(SMALL) == pytest.approx(capacity.rows_counted_again(SMALL) * 1e-6)


def test_small_hours_are_counted_as_a_whole():
    tiny = Load(events_per_second=0.2, countries=2, largest_share=0.6, late_hours=1)  # 216 and 144 starts an hour
    assert capacity.rows_counted_again(tiny, seconds=1e9) == pytest.approx(216 + 144)


@pytest.mark.parametrize("processes", [1, 30])
def test_the_texts_of_counts_have_the_length_that_the_formulas_say(processes):
    """As events/counting/stored.py writes them."""
    load = Load(processes=processes)
    seen = {uuid.uuid4().hex[: late_writes.NAME_DIGITS]: 1_780_000_000_000 + number for number in range(processes)}
    position = [178_000_000, seen, ""]
    of_minute = round(capacity.starts(load) * 60 / load.countries)
    assert capacity.minutes_text(load) == pytest.approx(len(json.dumps([*position, [of_minute] * 60])), abs=5)
    names = [first + second for first, second in product(ascii_uppercase, ascii_uppercase)][: load.countries]
    starts = {
        name: [1] + [round(144_000_000 * share)] * 24 for name, share in zip(names, capacity.shares(load), strict=True)
    }
    assert capacity.day_text(load) == pytest.approx(len(json.dumps([*position, 24, starts])), rel=0.02)


def test_a_report_reads_as_many_partitions_of_each_country_as_the_largest_has():
    load = Load()
    assert capacity.edge_partitions(load) == pytest.approx(2 * 200 * 32)
    assert capacity.edge_statements(load) == 2 * 200 / (72 // 32)
    assert capacity.rows_of_present(load) == 40_000 * 240
    assert capacity.slots_read(load) == 13


def test_a_bound_is_met_where_it_is_by_hand():
    """An hour of the largest country is counted in 2 s: 0.5 x 0.3 x 3,600 x 1 us = 0.54 ms for each event a second."""
    [limit] = [one for one in capacity.LIMITS if one.demand is capacity.seconds_of_hour]
    assert capacity.breaks_at(limit, Load()) == pytest.approx(2 / 0.54e-3, rel=0.002)


def test_what_the_formulas_take_from_the_code_is_what_the_code_has():
    assert capacity.MOST_SHARDS == domain.MOST_SHARDS
    assert capacity.PROMPT_SECONDS * 1_000 == domain.PROMPT_MS
    assert capacity.MARGIN_SECONDS * 1_000 == validity.MARGIN_MS
    assert capacity.SLOT_SECONDS * 1_000 == late_writes.SLOT_MS
    assert capacity.AHEAD_SECONDS * 1_000 == late_writes.LATE_MS + late_writes.CLOCK_SET_BACK_MS
    assert capacity.MARKER_SECONDS == late_writes.MARKER_SECONDS
    # Tests have more; see conftest.py.
    assert f"\nMOST_CELLS = {capacity.MOST_CELLS}\n" in Path(hours.__file__).read_text()
    assert capacity.MOST_COUNTING_SECONDS == hours.MOST_SECONDS
    assert capacity.PAUSE_PER_ROUND == background.PAUSE_PER_ROUND
    assert capacity.PARTITIONS_PER_STATEMENT == minutes.PARTITIONS_PER_STATEMENT
    assert capacity.STARTS_PER_STATEMENT == minutes.STARTS_PER_STATEMENT
    assert capacity.WRITES_AT_A_TIME == commits.WRITES_AT_A_TIME
    assert capacity.STATEMENTS_PER_WRITE == commits.STATEMENTS_PER_WRITE
    assert capacity.READS_IN_FLIGHT == cassandra.READS_IN_FLIGHT
    defaults = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert CassandraNode(folder=PROJECT).configuration()["read_request_timeout"] == f"{capacity.READ_SECONDS * 1000}ms"
    assert str(capacity.REPORT_CACHE_SECONDS) == defaults["REPORT_CACHE_SECONDS"]
    assert capacity.RESPONSE_CACHE_MB * 1e6 == memory.MOST_BYTES
    assert capacity.INDEX_ENTRIES_MB * 1e6 == 100 * services.MOST_REMEMBERED_ENTRIES
    assert int(models.COUNTRY_COMPACTION["compaction_window_size"]) == capacity.WINDOW_DAYS
    assert capacity.MARKER_GRACE_HOURS * 3_600 == models.MARKER_GRACE_SECONDS
    assert int(models.MARKER_COMPACTION["compaction_window_size"]) == capacity.MARKER_WINDOW_HOURS


def test_the_page_has_what_the_script_prints():
    page = capacity.PAGE.read_text()
    assert capacity.with_tables(page, Load()) == page, "run: python -m benchmarks.capacity --write"
