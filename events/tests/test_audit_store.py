"""``audit_store`` finds what is wrong in the tables, fixes it, and a second run finds nothing.

In a keyspace of its own: an audit looks at all rows, and other tests leave wrong ones on purpose.
"""

import json
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import PROJECT, manage
from events.counting.hours import bring_up_to_date, count_starts
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, Event, Window, day_of, hour_of
from events.erased_players import bucket_of
from events.late_writes import MARKER_SECONDS, slot_of
from events.management.commands import audit_store
from events.models import (
    TABLES,
    CompletedSessionByPlayerId,
    CountryHour,
    ErasedPlayer,
    LateWrite,
    SessionByCountry,
    SessionByPlayerId,
    StartCount,
    Table,
)
from events.rows import country_rows, event_rows, index_entries, index_rows, player_rows
from events.services import record_events
from events.upkeep import audit, day_counts, erasing, pairs, quality, row_checks, walk
from events.upkeep.audit import Audit, Report, State
from events.upkeep.erasing import DONE, PENDING, erase_known, erasure_of, request_erasure
from events.upkeep.numbers import ANY_UNASSIGNED
from events.upkeep.tables import UPKEEP
from metrics.catalogue import (
    AUDIT_ENDED,
    AUDIT_FOUND,
    AUDIT_LEFT,
    AUDIT_QUALITY,
    AUDIT_ROWS,
    ERASURES_PENDING,
    ERASURES_SINCE,
    OF_AUDITS,
)
from reports.starts import starts_of_country
from store import cassandra
from store.cassandra import Row, Statement
from tests.clients import wait_for

pytestmark = pytest.mark.long

# Of 365.25 days; the oldest young one has a minute and a half to live, or a quarter of an hour.
YOUNG_DAYS, OLD_DAYS = (364.999, 365.24), (365.26, 730)
RETENTION_MS = 31_557_600_000


@pytest.fixture(autouse=True)
def keyspace(own_keyspace: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(walk, "RANGES", 4)
    return own_keyspace


def audited(*, fix: bool = False) -> Report:
    run = Audit(State.new(), fix=fix, most_rows=1_000_000, in_flight_seconds=0)
    assert run.run()
    return run.state.report


def write(*statements: Statement) -> None:
    for cql, values in statements:
        cassandra.execute(cql, values)


def foreign(table: str, **values: object) -> Statement:
    """A row as another tool writes it: for ever, and at the time of now."""
    places = ", ".join("?" * len(values))
    return f"INSERT INTO {{keyspace}}.{table} ({', '.join(values)}) VALUES ({places})", [*values.values()]


def foreign_start(player: str, session: uuid.UUID, ts_ms: int, country: str) -> list[Statement]:
    hour = hour_of(ts_ms)
    return [
        foreign(
            "session_by_country", country=country, hour=hour, shard=0, ts=ts_ms, session_id=session, player_id=player
        ),
        foreign("session_by_player_id", player_id=player, session_id=session, started_at=ts_ms, country=country),
    ]


def foreign_end(player: str, session: uuid.UUID, ts_ms: int) -> list[Statement]:
    return [
        foreign("completed_session_by_player_id", player_id=player, ended_at=ts_ms, session_id=session),
        foreign("session_by_player_id", player_id=player, session_id=session, ended_at=ts_ms),
    ]


def write_in_time(events: list[Event], *, now_ms: int) -> None:
    """As they are stored when they come in time: no register and no marker have anybody look at them again."""
    write(*event_rows(events, now_ms=now_ms), *index_rows(index_entries(events), now_ms=now_ms))


def start(player: str, ts_ms: int, country: str) -> Event:
    return Event("start", player, uuid.uuid4(), ts_ms, country)


def starts_reported(country: str, *, since_ms: int, now_ms: int) -> int:
    window = Window(max(since_ms - 1, now_ms - RETENTION_MS), now_ms)
    counts = count_starts(window=window, now_ms=now_ms, deadline=cassandra.deadline_from_now(), country=country)
    return sum(counts.starts.get(country, []))


# Of every table: writes a foreign row of something that happened then, and reads how long it lives; None: for ever.
Foreign = tuple[Callable[[str, int], Statement], Callable[[str, int], list[Row]]]
COUNTRY = "QQ"


def _session(moment_ms: int) -> uuid.UUID:
    return uuid.UUID(int=moment_ms)


def _read(cql: str, *values: object) -> list[Row]:
    return cassandra.execute(cql, values)


FOREIGN: dict[Table, Foreign] = {
    SessionByCountry: (
        lambda player, ms: foreign_start(player, _session(ms), ms, COUNTRY)[0],
        lambda player, ms: _read(
            "SELECT TTL(player_id) FROM {keyspace}.session_by_country "
            "WHERE country = ? AND hour = ? AND shard = 0 AND ts = ?",
            COUNTRY,
            hour_of(ms),
            ms,
        ),
    ),
    SessionByPlayerId: (
        lambda player, ms: foreign_start(player, _session(ms), ms, COUNTRY)[1],
        lambda player, ms: _read(
            "SELECT TTL(started_at) FROM {keyspace}.session_by_player_id WHERE player_id = ? AND session_id = ?",
            player,
            _session(ms),
        ),
    ),
    CompletedSessionByPlayerId: (
        lambda player, ms: foreign(
            "completed_session_by_player_id", player_id=player, ended_at=ms, session_id=_session(ms)
        ),
        lambda player, ms: _read(
            "SELECT session_id FROM {keyspace}.completed_session_by_player_id WHERE player_id = ? AND ended_at = ?",
            player,
            ms,
        ),
    ),
    CountryHour: (
        lambda _, ms: foreign("country_hour", day=day_of(ms), hour=hour_of(ms), country="QZ", shards=1),
        lambda _, ms: _read(
            "SELECT TTL(shards) FROM {keyspace}.country_hour WHERE day = ? AND hour = ? AND country = 'QZ'",
            day_of(ms),
            hour_of(ms),
        ),
    ),
    StartCount: (
        lambda _, ms: foreign(
            "start_count", day=day_of(ms), hour=hour_of(ms), country="QZ", last_slot=7, minutes='[0,{},"",[]]'
        ),
        lambda _, ms: _read(
            "SELECT TTL(minutes), TTL(last_slot) FROM {keyspace}.start_count "
            "WHERE day = ? AND hour = ? AND country = 'QZ'",
            day_of(ms),
            hour_of(ms),
        ),
    ),
    # A marker lives for a day: it is as much older.
    LateWrite: (
        lambda _, ms: foreign(
            "late_write", slot=slot_of(marker_of(ms)), writer="foreign", version=marker_of(ms), cells="[]"
        ),
        lambda _, ms: _read(
            "SELECT TTL(cells) FROM {keyspace}.late_write WHERE slot = ? AND writer = 'foreign'",
            slot_of(marker_of(ms)),
        ),
    ),
}


def marker_of(ms: int) -> int:
    return ms + RETENTION_MS - MARKER_SECONDS * 1_000


def test_every_table_says_how_it_is_kept() -> None:
    assert set(UPKEEP) == set(TABLES)
    for table, upkeep in UPKEEP.items():
        assert upkeep.audited, table
        assert all(reading.cql(table).startswith("SELECT ") for reading in upkeep.audited), table
        assert callable(upkeep.erased), table
        assert callable(upkeep.exported), table
        assert callable(upkeep.imported), table


@pytest.mark.parametrize(
    "table", [table for table in TABLES if table is not ErasedPlayer], ids=lambda table: table.__table_name__
)
def test_nothing_older_than_a_year_is_kept_whoever_wrote_it(table: Table, player: str, now_ms: int) -> None:
    insert, read = FOREIGN[table]
    moments = {days: now_ms - int(days * DAY_MS) for days in (*YOUNG_DAYS, *OLD_DAYS)}
    write(*(insert(player, moment) for moment in moments.values()))
    report = audited(fix=True)
    assert report.found.total() >= len(OLD_DAYS)
    assert report.left == 0, report
    for days in OLD_DAYS:
        # What stands for an hour goes one retention after its end.
        if table not in (CountryHour, StartCount) or hour_of(moments[days]) + HOUR_MS <= now_ms - RETENTION_MS:
            # What is left of a session's row expires a moment later.
            wait_for(lambda ms=moments[days]: read(player, ms) == [])
    for days in YOUNG_DAYS:
        [row] = read(player, moments[days])
        if table is not CompletedSessionByPlayerId:  # no time to live can be read of a key
            most = (moments[days] + RETENTION_MS - now_ms) // 1_000 + DAY_MS // 1_000
            assert all(ttl is not None and ttl <= most for ttl in row), (days, row)
    time.sleep(1.1)  # rows that go by a time to live of a second
    assert not audited(fix=True).found


@pytest.mark.parametrize("has_index_entry", [True, False])
def test_foreign_rows_are_in_reports_afterwards_and_the_old_ones_in_no_table(
    player: str, country: str, now_ms: int, has_index_entry: bool
) -> None:
    moments = [now_ms - int(days * DAY_MS) for days in (*YOUNG_DAYS, *OLD_DAYS)] + [now_ms - 3 * DAY_MS]
    for moment in moments:
        session = uuid.uuid4()
        write(*foreign_start(player, session, moment, country), *foreign_end(player, session, moment))
        if has_index_entry:
            write(foreign("country_hour", day=day_of(moment), hour=hour_of(moment), country=country, shards=1))
    report = audited(fix=True)
    assert report.left == 0
    assert (f"country_hour: {day_counts.WITHOUT_INDEX_ENTRY}" in report.found) is not has_index_entry
    assert starts_reported(country, since_ms=0, now_ms=now_ms) == 3
    young = sorted(moment for moment in moments if moment > now_ms - RETENTION_MS)
    time.sleep(1.1)  # rows that go by a time to live of a second
    rows = _read(
        "SELECT toUnixTimestamp(started_at), toUnixTimestamp(ended_at), TTL(started_at), TTL(ended_at) "
        "FROM {keyspace}.session_by_player_id WHERE player_id = ?",
        player,
    )
    assert sorted(row[:2] for row in rows) == [(moment, moment) for moment in young]
    for started, _, *ttls in rows:
        left = (started + RETENTION_MS - now_ms) // 1_000
        assert all(left - 60 <= ttl <= left + 1 for ttl in ttls)
    ends = _read("SELECT toUnixTimestamp(ended_at) FROM {keyspace}.completed_session_by_player_id")
    assert sorted(ended for (ended,) in ends) == young
    assert not audited(fix=True).found


def test_without_fix_nothing_is_written(player: str, country: str, now_ms: int) -> None:
    write(*foreign_start(player, uuid.uuid4(), now_ms - 730 * DAY_MS, country))
    for _ in range(2):
        report = audited()
        assert report.left == report.found.total() == 2


def test_the_rows_of_the_service_are_right(player: str, country: str, now_ms: int) -> None:
    moments = [now_ms, now_ms - HOUR_MS, now_ms - 40 * DAY_MS, now_ms - RETENTION_MS + 5 * MINUTE_MS]
    for moment in moments:
        session = uuid.uuid4()
        events = [Event("start", player, session, moment, country), Event("end", player, session, moment, None)]
        assert all(record_events(events, now_ms=now_ms))
    bring_up_to_date([day_of(moment) for moment in moments], now_ms=now_ms)
    assert not audited().found


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"country": "qq"}, row_checks.MISPLACED),
        ({"hour": 7 * HOUR_MS}, row_checks.MISPLACED),
        ({"shard": 5}, row_checks.MISPLACED),
    ],
)
def test_a_start_in_the_wrong_place_goes_to_the_right_one(player, now_ms, change, kind) -> None:
    ts = now_ms - 2 * DAY_MS
    values = {
        "country": "QQ",
        "hour": hour_of(ts),
        "shard": 0,
        "ts": ts,
        "session_id": uuid.uuid4(),
        "player_id": player,
    }
    write(foreign("session_by_country", **(values | change)))
    report = audited(fix=True)
    assert report.fixed[f"session_by_country: {kind}"] == 1
    assert report.left == 0
    rows = _read("SELECT country, toUnixTimestamp(hour), shard, player_id FROM {keyspace}.session_by_country")
    assert rows == [("QQ", hour_of(ts), 0, player)]
    assert starts_reported("QQ", since_ms=ts, now_ms=now_ms) == 1
    assert not audited(fix=True).found


def test_what_no_event_can_be_made_of_is_reported_and_stays(player: str, now_ms: int) -> None:
    write(*foreign_start(player, uuid.uuid4(), now_ms - DAY_MS, "USA"))
    report = audited(fix=True)
    assert report.left == report.found.total() == 2
    assert all(row_checks.UNREADABLE in kind for kind in report.found)


@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        ("session_by_country ", pairs.WITHOUT_START),
        ("session_by_player_id (player_id, session_id, started_at", pairs.WITHOUT_SESSION),
        ("session_by_player_id (player_id, session_id, ended_at", pairs.WITHOUT_END),
        ("completed_session_by_player_id", pairs.WITHOUT_ORDER),
        ("country_hour", day_counts.WITHOUT_INDEX_ENTRY),
    ],
)
def test_a_row_that_is_lost_is_written_again(player, country, now_ms, lost, kind) -> None:
    ts, session = now_ms - 2 * DAY_MS, uuid.uuid4()
    events = [Event("start", player, session, ts, country), Event("end", player, session, ts + 1, None)]
    rows = event_rows(events, now_ms=now_ms) + index_rows(index_entries(events), now_ms=now_ms)
    kept = [row for row in rows if lost not in row[0]]
    assert len(kept) == len(rows) - 1
    write(*kept)
    found = audited()
    assert [key.partition(": ")[2] for key in found.found] == [kind]
    report = audited(fix=True)
    assert (report.found.total(), report.left) == (1, 0)
    assert starts_reported(country, since_ms=ts, now_ms=now_ms) == 1
    assert not audited(fix=True).found


def test_a_row_under_a_deletion_is_not_called_fixed(player: str, country: str, now_ms: int) -> None:
    event = start(player, now_ms - DAY_MS, country)
    record_events([event], now_ms=now_ms)
    write(("DELETE FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,)))
    report = audited(fix=True)
    assert (report.found.total(), report.left) == (1, 1)


def test_an_older_start_that_another_tool_wrote_does_not_hide_the_latest(player, country, now_ms) -> None:
    session = uuid.uuid4()
    latest = Event("start", player, session, now_ms - HOUR_MS, country)
    write(*foreign_start(player, session, now_ms - 5 * DAY_MS, country))
    record_events([latest], now_ms=now_ms)
    assert audited(fix=True).left == 0
    [(started,)] = _read(
        "SELECT toUnixTimestamp(started_at) FROM {keyspace}.session_by_player_id WHERE player_id = ?", player
    )
    assert started == latest.ts_ms
    assert not audited(fix=True).found


def test_a_count_that_differs_from_the_rows_is_taken_again(player: str, country: str, now_ms: int) -> None:
    day = day_of(now_ms) - 3 * DAY_MS
    write_in_time([start(player, day + 5 * HOUR_MS, country)], now_ms=now_ms)
    bring_up_to_date([day], now_ms=now_ms)
    events = [start(player, day + 5 * HOUR_MS + number, country) for number in range(3)]
    write(*player_rows(events, now_ms=now_ms), *country_rows(events, now_ms=now_ms))
    assert starts_reported(country, since_ms=day, now_ms=now_ms) == 1
    report = audited(fix=True)
    assert report.found == report.fixed == {f"start_count: {day_counts.WRONG_COUNT}": 1}
    assert starts_reported(country, since_ms=day, now_ms=now_ms) == 4
    assert not audited(fix=True).found


def test_a_count_of_starts_that_are_nowhere_is_taken_again(player: str, country: str, now_ms: int) -> None:
    day = day_of(now_ms) - 3 * DAY_MS
    write_in_time([start(player, day + 5 * HOUR_MS, country)], now_ms=now_ms)
    bring_up_to_date([day], now_ms=now_ms)
    for table in ("session_by_country", "session_by_player_id", "country_hour"):
        cassandra.execute(f"TRUNCATE {{keyspace}}.{table}", ())
    report = audited(fix=True)
    assert report.found == report.fixed == {f"start_count: {day_counts.WRONG_COUNT}": 1}
    assert starts_reported(country, since_ms=day, now_ms=now_ms) == 0
    assert not audited(fix=True).found


def test_minutes_that_add_up_and_are_wrong_are_taken_again(player: str, country: str, now_ms: int) -> None:
    day = day_of(now_ms) - 3 * DAY_MS
    events = [start(player, day + 5 * HOUR_MS + minute * MINUTE_MS, country) for minute in range(10)]
    write_in_time(events, now_ms=now_ms)
    cut = Window(day + 5 * HOUR_MS + MINUTE_MS - 1, day + DAY_MS - 1)  # without the first minute
    bring_up_to_date([day], now_ms=now_ms)

    def counted() -> int:
        counts = count_starts(window=cut, now_ms=now_ms, deadline=cassandra.deadline_from_now(), country=country)
        return sum(counts.starts[country])

    assert counted() == 9
    where = (day, day + 5 * HOUR_MS, country)
    [(text,)] = _read("SELECT minutes FROM {keyspace}.start_count WHERE day = ? AND hour = ? AND country = ?", *where)
    position = json.loads(text)[:3]
    wrong = json.dumps([*position, [10] + [0] * 59])
    write(("UPDATE {keyspace}.start_count SET minutes = ? WHERE day = ? AND hour = ? AND country = ?", (wrong, *where)))
    assert counted() == 0
    report = audited(fix=True)
    assert report.fixed[f"start_count: {day_counts.WRONG_MINUTES}"] == 1
    assert report.left == 0
    assert counted() == 9
    assert not audited(fix=True).found


def test_a_shorter_retention_holds_for_what_is_stored(settings, player: str, country: str, now_ms: int) -> None:
    young, old = now_ms - 10 * DAY_MS, now_ms - 40 * DAY_MS
    events = [start(player, moment, country) for moment in (young, old)]
    ends = [Event("end", player, uuid.uuid4(), moment, None) for moment in (young, old)]
    record_events(events + ends, now_ms=now_ms)
    bring_up_to_date([day_of(young), day_of(old)], now_ms=now_ms)
    settings.RETENTION_SECONDS = 30 * DAY_MS // 1_000
    report = audited(fix=True)
    assert report.left == 0
    assert report.found.total() > 6
    time.sleep(1.1)  # rows that go by a time to live of a second
    counts = count_starts(
        window=Window(now_ms - 30 * DAY_MS, now_ms),
        now_ms=now_ms,
        deadline=cassandra.deadline_from_now(),
        country=country,
    )
    assert sum(counts.starts[country]) == 1
    cql = "SELECT session_id, TTL(started_at), TTL(ended_at) FROM {keyspace}.session_by_player_id WHERE player_id = ?"
    until = time.monotonic() + 5
    while len(rows := _read(cql, player)) > 2 and time.monotonic() < until:  # a busy node's clock may be behind
        time.sleep(0.1)
    assert {row[0] for row in rows} == {events[0].session_id, ends[0].session_id}
    assert all(ttl is None or ttl <= 20 * 86_400 + 1 for row in rows for ttl in row[1:])
    for cql in (
        "SELECT TTL(shards) FROM {keyspace}.country_hour",
        "SELECT TTL(minutes) FROM {keyspace}.start_count",
        "SELECT TTL(last_slot) FROM {keyspace}.start_count",
        "SELECT TTL(day_hours) FROM {keyspace}.start_count",
    ):
        assert all(ttl is None or ttl <= 21 * 86_400 + 1 for (ttl,) in _read(cql)), cql
    assert not audited(fix=True).found


def test_an_hour_of_which_a_part_is_too_old_is_counted_right(settings, player: str, country: str, now_ms: int) -> None:
    """It was counted as a whole before the retention became shorter."""
    hour = hour_of(now_ms) - 30 * HOUR_MS
    minutes = (0, 10, 29, 31, 59)
    record_events([start(player, hour + minute * MINUTE_MS, country) for minute in minutes], now_ms=now_ms)
    bring_up_to_date([day_of(hour)], now_ms=now_ms)
    assert starts_reported(country, since_ms=hour, now_ms=now_ms) == 5
    settings.RETENTION_SECONDS = (now_ms - hour - 30 * MINUTE_MS) // 1_000
    assert audited(fix=True).left == 0
    window = Window(now_ms - settings.RETENTION_SECONDS * 1_000, now_ms)
    counts = count_starts(window=window, now_ms=now_ms, deadline=cassandra.deadline_from_now(), country=country)
    assert sum(counts.starts[country]) == 2
    kept = _read("SELECT toUnixTimestamp(ts) FROM {keyspace}.session_by_country")
    assert sorted(ts for (ts,) in kept) == [hour + minute * MINUTE_MS for minute in minutes[3:]]
    time.sleep(1.1)  # rows that go by a time to live of a second
    assert not audited(fix=True).found


def test_a_shard_more_still_wins_over_a_rewritten_index_entry(settings, player, country, now_ms) -> None:
    event = start(player, now_ms - DAY_MS, country)
    record_events([event], now_ms=now_ms)
    settings.RETENTION_SECONDS = 30 * DAY_MS // 1_000
    audited(fix=True)
    hour = hour_of(event.ts_ms)
    write(*index_rows([(country, hour, 4)], now_ms=now_ms))
    assert _read("SELECT shards FROM {keyspace}.country_hour") == [(4,)]


def test_the_data_is_described(player: str, now_ms: int) -> None:
    country = "QQ"  # which is no country's
    twice, backwards = uuid.uuid4(), uuid.uuid4()
    record_events(
        [
            Event("start", player, twice, now_ms - 3 * HOUR_MS, country),
            Event("start", player, twice, now_ms - HOUR_MS, country),
            Event("end", player, backwards, now_ms - 3 * HOUR_MS, None),
            Event("end", player, backwards, now_ms - 2 * HOUR_MS, None),
            Event("start", player, backwards, now_ms - HOUR_MS, "FI"),
            Event("end", player, uuid.uuid4(), now_ms + MINUTE_MS, None),
        ],
        now_ms=now_ms,
    )
    report = audited()
    assert not report.found
    assert +report.quality == {
        quality.WITHOUT_END: 1,
        quality.WITHOUT_START: 1,
        quality.ENDED_BEFORE_START: 1,
        quality.AHEAD: 1,
        quality.UNASSIGNED.format(country): 2,
        quality.LATE.format("up to a day"): 3,
        pairs.SUPERSEDED_STARTS: 1,
        pairs.SUPERSEDED_ENDS: 1,
    }


def test_what_is_in_flight_is_not_called_missing(player: str, country: str, now_ms: int) -> None:
    """The rows of an import come player rows first; the others are there before they are asked for again."""
    event = start(player, now_ms - DAY_MS, country)
    write(*player_rows([event], now_ms=now_ms))
    run = Audit(State.new(), fix=False, most_rows=1_000_000, in_flight_seconds=0)
    missing = run._missing

    def late(questions):
        record_events([event], now_ms=now_ms)
        return missing(questions)

    run._missing = late
    assert run.run()
    assert run.state.report.left == 0


def test_an_audit_that_is_stopped_goes_on_and_finds_the_same(player: str, country: str, now_ms: int) -> None:
    events = [start(player, now_ms - number * HOUR_MS, country) for number in range(1, 40)]
    write(*player_rows(events[:30], now_ms=now_ms), *country_rows(events[10:], now_ms=now_ms))
    whole = audited()
    state = State.new()
    stops = 0
    while True:
        run = Audit(state, fix=False, most_rows=1_000_000, in_flight_seconds=0)
        texts: list[str] = []
        run._on_unit = lambda state, texts=texts, run=run: (
            texts.append(state.text()),
            setattr(run, "stop_requested", state.done % 5 == 0),
        )
        if run.run():
            break
        stops += 1
        state = State.from_text(texts[-1])
    assert stops > 5
    assert run.state.report == whole
    assert whole.left == 10 + 9 + 29  # and as many hours without an index entry


def test_the_command_says_what_it_found_and_its_status_whether_it_is_right(
    keyspace, player, country, now_ms, tmp_path
) -> None:
    write(*foreign_start(player, uuid.uuid4(), now_ms - 730 * DAY_MS, country))

    def command(*options: str) -> subprocess.CompletedProcess[str]:
        return manage("audit_store", "--keyspace", keyspace, *options, cwd=tmp_path)

    looked = command("--json")
    assert looked.returncode == 1
    found = json.loads(looked.stdout)["problems"]
    assert [(one["table"], one["found"], one["fixed"]) for one in found] == [
        ("session_by_country", 1, 0),
        ("session_by_player_id", 1, 0),
    ]
    fixed = command("--fix")
    assert fixed.returncode == 0
    assert row_checks.TOO_OLD in fixed.stdout
    again = command("--fix", "--json")
    assert (again.returncode, json.loads(again.stdout)["problems"]) == (0, [])
    assert [*tmp_path.iterdir()] == []
    assert "Run sync_cassandra" in manage("audit_store", "--keyspace", "nowhere_test", cwd=tmp_path).stderr


def test_what_an_audit_that_ended_has_found_is_in_a_file_for_prometheus(
    keyspace, player, country, now_ms, tmp_path
) -> None:
    write(*foreign_start(player, uuid.uuid4(), now_ms - DAY_MS, country))
    record_events([start(player, now_ms, "QQ"), start(player, now_ms, "QZ")], now_ms=now_ms)
    request_erasure(f"{player}.2", requested_by="test")
    command = ("audit_store", "--keyspace", keyspace, "--metrics", "audit.prom")
    assert manage(*command, cwd=tmp_path).returncode == 1
    text = (tmp_path / "audit.prom").read_text()
    assert re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE) == [metric.name for metric in OF_AUDITS]
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    numbers = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    found = {key: number for key, number in numbers.items() if key[0] == "player_sessions_audit_found"}
    assert found == {
        (AUDIT_FOUND.name, "session_by_country", row_checks.WITHOUT_TTL): 1,
        (AUDIT_FOUND.name, "session_by_player_id", row_checks.WITHOUT_TTL): 1,
        (AUDIT_FOUND.name, "country_hour", day_counts.WITHOUT_INDEX_ENTRY): 1,
    }
    assert all(numbers[(AUDIT_LEFT.name, *key[1:])] == 1 for key in found)
    assert numbers[AUDIT_ROWS.name, "session_by_country"] == 3
    assert numbers[AUDIT_QUALITY.name, quality.WITHOUT_END] == 3
    assert numbers[AUDIT_QUALITY.name, ANY_UNASSIGNED] >= 2
    assert not any("QQ" in label for key in numbers for label in key)
    assert now_ms / 1_000 - 1 <= numbers[AUDIT_ENDED.name,] <= time.time()
    assert numbers[ERASURES_PENDING.name,] == 1
    assert now_ms / 1_000 <= numbers[ERASURES_SINCE.name,] <= time.time()


def test_the_command_can_be_stopped_and_goes_on(keyspace, player, country, now_ms, tmp_path, start_process) -> None:
    events = [start(player, now_ms - number * MINUTE_MS, country) for number in range(300)]
    for number in range(0, 300, 10):
        record_events(events[number : number + 10], now_ms=now_ms)
    command = [sys.executable, str(PROJECT / "manage.py"), "audit_store", "--keyspace", keyspace]
    run = start_process([*command, "--rate", "100"], cwd=tmp_path, stderr=subprocess.PIPE)
    checkpoint = tmp_path / "audit_store.checkpoint"
    deadline = time.monotonic() + 60
    while not checkpoint.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM
    assert b"--resume" in said
    resumed = manage("audit_store", "--keyspace", keyspace, "--resume", "--json", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    rows = json.loads(resumed.stdout)["rows"]
    assert (rows["session_by_country"], rows["session_by_player_id"]) == (300, 300)
    assert not checkpoint.exists()


def test_a_file_that_no_audit_has_written_is_neither_overwritten_nor_removed(keyspace, tmp_path) -> None:
    (notes := tmp_path / "notes").write_text("of somebody\n")
    for wrong, said in ((notes, "is no checkpoint of an audit"), (tmp_path, "Is a directory")):
        ended = manage("audit_store", "--keyspace", keyspace, "--checkpoint", str(wrong))
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert said in ended.stderr
    assert notes.read_text() == "of somebody\n"


def test_an_audit_with_fix_does_not_continue_one_without(keyspace: str, tmp_path: Path) -> None:
    """Its first part has erased nobody, and its end would say that everybody is erased."""
    checkpoint = tmp_path / "audit_store.checkpoint"
    audit_store._Checkpoints(checkpoint, fix=False).save(State.new())
    resumed = manage("audit_store", "--keyspace", keyspace, "--fix", "--resume", cwd=tmp_path)
    assert resumed.returncode == 1
    assert f"of the keyspace {keyspace}, without --fix). Start without --resume." in resumed.stderr
    assert checkpoint.exists()


@pytest.mark.parametrize("damage", ["retention", "tables", "bytes", "all"])
def test_an_audit_does_not_continue_from_a_checkpoint_of_other_units(damage: str, settings, monkeypatch) -> None:
    state = State.new()
    text = state.text()
    assert State.from_text(text).units() == state.units()
    if damage == "retention":
        settings.RETENTION_SECONDS -= 7_200
    elif damage == "tables":
        monkeypatch.setattr(audit, "TABLES", TABLES[:-1])
    else:
        text = text.replace(json.loads(text)["seen"], "AAAA") if damage == "bytes" else "{}"
    with pytest.raises(ValueError, match=r"of another (retention|release)|not the checkpoint"):
        State.from_text(text)


def test_starts_of_a_country_show_what_was_fixed(player: str, country: str, now_ms: int) -> None:
    ts = now_ms - 5 * HOUR_MS
    write(foreign_start(player, uuid.uuid4(), ts, country)[0])
    audited(fix=True)
    number, page, _ = starts_of_country(
        country=country, window=Window(now_ms - DAY_MS, now_ms), now_ms=now_ms, limit=10
    )[:3]
    assert (number, len(page)) == (1, 1)


def test_what_came_back_of_an_erased_player_goes_and_nothing_is_written(player: str, country: str, now_ms: int) -> None:
    """As after a replica was away for longer than hints last: some rows are there again, or all."""
    request_erasure(player, requested_by="test", until_ms=now_ms - HOUR_MS)
    session, ts = uuid.uuid4(), now_ms - DAY_MS
    events = [Event("start", player, session, ts, country), Event("end", player, session, ts + 1, None)]
    half = [Event("start", player, uuid.uuid4(), ts, country), Event("end", player, uuid.uuid4(), ts, None)]
    write(*event_rows(events, now_ms=now_ms), *country_rows(half, now_ms=now_ms), *player_rows(half[1:], now_ms=now_ms))
    later = start(player, now_ms - MINUTE_MS, country)
    record_events([later], now_ms=now_ms)
    report = audited(fix=True)
    assert report.found == report.fixed
    assert {key.partition(": ")[2] for key in report.found} == {row_checks.ERASED}
    time.sleep(1.1)
    assert _read("SELECT session_id FROM {keyspace}.session_by_player_id") == [(later.session_id,)]
    assert _read("SELECT session_id FROM {keyspace}.session_by_country") == [(later.session_id,)]
    assert _read("SELECT session_id FROM {keyspace}.completed_session_by_player_id") == []
    assert starts_reported(country, since_ms=0, now_ms=now_ms) == 1
    assert not audited(fix=True).found


def test_an_audit_finishes_the_erasures_that_were_due_when_it_began(player, country, now_ms, monkeypatch) -> None:
    """Also of a start that another one of its session superseded, of which nothing of the player tells."""
    session = uuid.uuid4()
    events = [Event("start", player, session, now_ms - hours * HOUR_MS, country) for hours in (1, 3)]
    record_events(events, now_ms=now_ms)
    erase_known(request_erasure(player, requested_by="test"))
    assert [row[0] for row in _read("SELECT player_id FROM {keyspace}.session_by_country")] == [player]
    audited(fix=True)
    assert erasure_of(player).state == PENDING  # something may have been in flight
    monkeypatch.setattr(erasing, "DUE_AFTER_MS", 0)
    audited()
    assert erasure_of(player).state == PENDING  # it was asked to change nothing
    audited(fix=True)
    assert erasure_of(player).state == DONE
    assert _read("SELECT player_id FROM {keyspace}.session_by_country") == []
    assert starts_reported(country, since_ms=0, now_ms=now_ms) == 0


def test_an_entry_of_the_list_stays_for_ever(player: str) -> None:
    request_erasure(player, requested_by="test")
    [(until,)] = _read("SELECT toUnixTimestamp(until) FROM {keyspace}.erased_player")
    write(
        (
            "UPDATE {keyspace}.erased_player USING TIMESTAMP ? AND TTL 1000 SET until = ? "
            "WHERE bucket = ? AND player_id = ?",
            (until * 1_000 + 2, until, bucket_of(player), player),
        )
    )
    report = audited(fix=True)
    assert report.fixed == {f"erased_player: {row_checks.ENTRY_WITH_TTL}": 1}
    assert _read("SELECT toUnixTimestamp(until), TTL(until) FROM {keyspace}.erased_player") == [(until, None)]
    assert not audited(fix=True).found
