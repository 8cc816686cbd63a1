"""manage.py import_sessions"""

import bz2
import gzip
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from django.db import connections

from conftest import PROJECT, drop_keyspace, manage
from events import late_writes
from events.counting.validity import MARGIN_MS
from events.domain import DAY_MS, HOUR_MS, MINUTE_MS, format_timestamp
from events.importing.checkpoint import Checkpoint, Totals
from events.importing.dump import Dump
from events.importing.files import header
from events.tests.dumps import OLD, lines_of, stored
from reports.player_sessions import completed_sessions
from store import cassandra
from store.errors import StatementRejected

pytestmark = pytest.mark.long

OF_BEFORE = json.dumps(header("rejects")) + "\n" + '{"line": 1, "reason": "of before", "input": ""}\n'

# A second or two of an import: its first checkpoint is there when the first of twenty jobs is done.
INTERRUPTED_EVENTS = 40_000
MOST_SECONDS_BEFORE_A_KILL = 1.2


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("d.bz2", lambda text: bz2.compress(text[:200]) + bz2.compress(text[200:])),
        ("d.gz", gzip.compress),
        ("d", bytes),
    ],
)
def test_a_dump_is_stored_in_each_packing_and_storing_it_again_changes_nothing(
    run, tmp_path, player, country, now_ms, name, pack
):
    (tmp_path / name).write_bytes(pack(lines_of(player, country, now_ms).encode()))
    for _ in range(2):  # again changes nothing
        status, summary = run(name)
        assert status == 0
        assert summary == {**summary, "read": 10, "stored": 10, "discarded": 0, "rejected": 0, "error": None}
        assert stored(player, country, now_ms) == (5, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_standard_input_and_several_files(run, tmp_path, player, country, now_ms):
    assert run("-", stdin=lines_of(player, country, now_ms).encode())[1]["stored"] == 10
    for name in "ab":
        (tmp_path / name).write_text(lines_of(player, country, now_ms))
    assert run("a", "b")[1]["stored"] == 20
    assert stored(player, country, now_ms) == (15, 15)


def test_a_dump_of_2016_is_discarded_whole_and_says_so(run, tmp_path):
    (tmp_path / "dump").write_text(OLD)
    status, summary = run("dump")
    assert (status, summary["read"], summary["stored"], summary["discarded"]) == (0, 2, 0, 2)


def test_with_rebase_a_dump_of_2016_is_loaded_whole(run, tmp_path, player, country, now_ms):
    text = OLD.replace("0a2d12a1a7e145de8bae44c0c6e06629", player).replace('"FI"', f'"{country}"')
    (tmp_path / "dump").write_text(text)
    status, summary = run("dump", "--rebase")
    assert (status, summary["stored"], summary["discarded"]) == (0, 2, 0)
    [session], _ = completed_sessions(player_id=player, now_ms=now_ms + 60_000, limit=10)
    assert abs(session.ended_ms - now_ms) < 60_000
    assert session.ended_ms - session.started_ms == 714_480


def test_only_an_event_sets_the_shift_of_rebase(run, tmp_path, player, country, now_ms):
    no_events = '{"ts":"2099-01-01T00:00:00Z"}\nnull\n' + json.dumps({"event": "end", "player_id": player}) + "\n"
    (tmp_path / "dump").write_text(no_events + lines_of(player, country, now_ms - 900 * DAY_MS))
    status, summary = run("dump", "--rebase")
    assert (status, summary["stored"], summary["discarded"], summary["rejected"]) == (1, 11, 0, 2)
    assert stored(player, country, now_ms)[0] == 5


def test_a_dry_run_writes_nothing(run, tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms) + OLD + "x\n")
    status, summary = run("dump", "--dry-run")
    assert (status, summary["read"], summary["discarded"], summary["rejected"]) == (1, 13, 2, 1)
    assert (summary["stored"], summary["would_be_stored"]) == (0, 10)
    assert stored(player, country, now_ms) == (0, 0)


def test_rejected_lines_go_to_a_file_with_number_and_reason(run, tmp_path, player, country, now_ms):
    good = lines_of(player, country, now_ms, sessions=1).encode().splitlines()
    bad = [
        b"not json",
        b'{"event":"start","player_id":"p"}',
        b'{"event":"start","player_id":"\xff"}',
        b'{"x":"' + b"y" * 10_000_000 + b'"}',
        b"[1]",
        good[0][:-1] + b', "x": NaN}',
        good[0][:-1] + b', "padding": "' + b"y" * 70_000 + b'"}',
    ]
    (tmp_path / "dump").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([good[0], *bad, b"", good[1]]))
    status, summary = run("dump", "--rejects", "bad.jsonl")
    assert (status, summary["stored"], summary["rejected"], summary["rejects"]) == (1, 2, 7, "bad.jsonl")
    first, *rejects = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert first == {"format": "player-sessions rejects", "version": 1}
    assert [(reject["line"], reject["reason"]) for reject in rejects] == [
        (2, "not JSON"),
        (3, "country: A start needs a country."),
        (4, "not UTF-8"),
        (5, "longer than 65536 bytes"),
        (6, "Send an object for each event."),
        (7, "not JSON"),
        (8, "longer than 65536 bytes"),
    ]
    assert rejects[0]["input"] == "not json"
    assert [len(reject["input"]) for reject in rejects if reject["reason"].startswith("longer")] == [1_000, 1_000]
    assert stored(player, country, now_ms) == (1, 1)


def test_an_import_whose_rejects_are_elsewhere_is_not_resumed(run, tmp_path, player, country, now_ms, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dump").write_text(lines_of(player, country, now_ms))
    begun = Checkpoint([Dump("dump").identity()], now_ms, 0, line=2, rejects_bytes=100, totals=Totals(2, 1, 0, 1))
    Path("dump.checkpoint").write_text(begun.text())
    status, summary = run("dump", "--resume", "--rejects", "others.jsonl")
    assert (status, summary["stored"], summary["rejects"]) == (1, 1, None)
    assert not Path("others.jsonl").exists()
    assert "does not hold the rejects" in summary["error"]
    assert json.loads(Path("dump.checkpoint").read_text())["rejects_bytes"] == 100


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_file_of_rejects_only_is_read_to_its_end(run, tmp_path, options):
    """What a worker says of a job does not fit the pipe, nor does the next job: neither may wait for the other."""
    (tmp_path / "dump").write_text(f"{'no event ' * 30}\n" * 10_000)
    status, summary = run("dump", "--max-rejects", "all", *options)
    assert (status, summary["read"], summary["rejected"]) == (1, 10_000, 10_000)
    assert len((tmp_path / summary["rejects"]).read_text().splitlines()) == 1 + 10_000


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_import_of_standard_input_stores_what_has_come_and_can_be_stopped(
    tmp_path, player, country, now_ms, how, status
):
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "-", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        for line in lines_of(player, country, now_ms).encode().splitlines():
            running.stdin.write(line + b"\n")
            running.stdin.flush()  # and no end
            time.sleep(0.03)
        give_up_at = time.monotonic() + 30
        while stored(player, country, now_ms) != (5, 5):
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        running.send_signal(how)
        assert running.wait(10) == status
        assert json.loads(running.stdout.read())["stored"] == 10
        log = running.stderr.read().decode()
    assert "--resume" in log
    assert "Traceback" not in log
    assert "Fatal" not in log


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("directory", "is a directory"),
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither text nor bzip2 nor gzip"),
        (b"BZh9nonsense and more nonsense", "up to line 0 only"),
        (b"\x1f\x8bnonsense", "up to line 0 only"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_clear_error(run, tmp_path, content, said):
    if content == "directory":
        (tmp_path / "dump").mkdir()
    elif content is not None:
        (tmp_path / "dump").write_bytes(content)
    status, summary = run("dump")
    assert status == 1
    assert said in summary["error"]


def test_what_stands_before_the_cut_is_stored(run, tmp_path, player, country, now_ms):
    lines = lines_of(player, country, now_ms, sessions=20)
    packed = bz2.compress(lines.encode()) + bz2.compress(lines_of("other", country, now_ms, 2_000).encode())[:-20]
    (tmp_path / "dump.bz2").write_bytes(packed)
    status, summary = run("dump.bz2")
    assert (status, summary["stored"]) == (1, 40)
    assert "could be read up to line 40 only: it is cut off" in summary["error"]
    assert stored(player, country, now_ms)[1] == 20


@pytest.mark.parametrize("behind", [gzip.compress(b"{}\n"), b"{}\n", b"BZh9nonsense and more nonsense"])
def test_what_stands_behind_a_stream_and_is_none_is_named(run, tmp_path, player, country, now_ms, behind):
    (tmp_path / "dump.bz2").write_bytes(bz2.compress(lines_of(player, country, now_ms).encode()) + behind)
    status, summary = run("dump.bz2")
    assert (status, summary["stored"]) == (1, 10)
    assert "could be read up to line 10 only: it is damaged" in summary["error"]


def test_an_import_that_lasts_validates_by_the_clock_as_it_goes_on(run, tmp_path, player, country, now_ms):
    """Begun an hour ago, when the start was in the future, and its end is older than the retention by now."""
    begun_ms = now_ms - HOUR_MS
    old = {"event": "end", "player_id": player, "ts": format_timestamp(begun_ms - 31_557_600_000 + MINUTE_MS)}
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms, sessions=1) + json.dumps(old) + "\n")
    begun = Checkpoint([Dump(str(tmp_path / "dump")).identity()], begun_ms, 0)
    (tmp_path / "dump.checkpoint").write_text(begun.text())
    status, summary = run("dump", "--resume")
    assert (status, summary["stored"], summary["discarded"], summary["rejected"]) == (0, 2, 1, 0)


def test_two_imports_do_not_share_their_files(run, tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms) + "no event\n")
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "-", "--rejects", "dump.rejects.jsonl"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdin.write(b"no event of the other\n")
        other.stdin.flush()
        rejects = tmp_path / "dump.rejects.jsonl"
        give_up_at = time.monotonic() + 30
        while not (rejects.exists() and rejects.stat().st_size):
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        status, summary = run("dump")
        assert (status, summary["stored"]) == (1, 0)
        assert "Another import writes to dump.rejects.jsonl." in summary["error"]
        assert not (tmp_path / "dump.checkpoint").exists()
        other.communicate(timeout=30)
    assert "no event of the other" in rejects.read_text()
    assert run("dump")[1]["stored"] == 10


def test_a_dry_run_leaves_an_interrupted_import_alone(run, tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text("no event\n" + lines_of(player, country, now_ms))
    (tmp_path / "dump.rejects.jsonl").write_text(OF_BEFORE)
    files = [Dump(str(tmp_path / "dump")).identity()]
    begun = Checkpoint(files, now_ms, 0, line=1, rejects_bytes=len(OF_BEFORE))
    (tmp_path / "dump.checkpoint").write_text(begun.text())
    for options in ((), ("--resume",), ("--resume",)):
        status, summary = run("dump", "--dry-run", *options)
        # With --resume the line that is none is behind the checkpoint.
        assert (status, summary["rejects"]) == ((0, None) if options else (1, "dump.dry-run.rejects.jsonl"))
    assert (tmp_path / "dump.rejects.jsonl").read_text() == OF_BEFORE
    assert run("dump", "--resume")[1]["stored"] == 10


def test_an_import_that_cannot_begin_leaves_the_rejects_of_before(run, tmp_path):
    (tmp_path / "dump").write_text("no event\n")
    (tmp_path / "dump.rejects.jsonl").write_text(OF_BEFORE)
    status, summary = run("dump", "--checkpoint", "no/such/folder")
    assert (status, summary["read"]) == (1, 0)
    assert "no/such/folder" in summary["error"]
    assert (tmp_path / "dump.rejects.jsonl").read_text() == OF_BEFORE


def test_a_line_without_session_id_or_ts_is_the_same_session_again(run, tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text(json.dumps({"event": "start", "country": country, "player_id": player}) + "\n")
    for starts in (1, 2):  # each of the time of its import
        assert run("dump")[0] == 0
        rows = cassandra.execute("SELECT * FROM {keyspace}.session_by_player_id WHERE player_id = ?", (player,))
        assert len(rows) == 1
        assert stored(player, country, now_ms)[0] == starts


def test_lines_without_session_id_are_sessions_of_their_own_in_every_file(run, tmp_path, player, country, now_ms):
    line = {"event": "start", "country": country, "player_id": player, "ts": format_timestamp(now_ms)}
    (tmp_path / "a").write_text(json.dumps(line) + "\n")
    (tmp_path / "b").write_text((json.dumps(line) + "\n") * 2)
    for _ in range(2):  # again changes nothing
        assert run("a", "b")[1]["stored"] == 3
        assert stored(player, country, now_ms)[0] == 3


@pytest.mark.parametrize("option", ["--rejects", "--checkpoint"])
def test_what_is_no_file_is_not_written_to(run, tmp_path, player, country, now_ms, option):
    """Such as /dev/null, which an administrator could replace."""
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms))
    os.mkfifo(tmp_path / "pipe")
    status, summary = run("dump", option, "pipe")
    assert (status, summary["stored"]) == (1, 0)
    assert summary["error"] == f"pipe is not a file. Name one with {option}."
    assert (tmp_path / "pipe").is_fifo()


def test_a_pipe_is_to_be_sent_to_standard_input(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    status, summary = run("pipe")
    assert (status, summary["error"]) == (1, "pipe is not a file. Send what it gives to standard input, and name -.")


def test_a_resume_goes_on_in_the_right_file_with_the_rejects_and_the_clock_of_before(
    run, tmp_path, player, country, now_ms, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    started_ms = now_ms - HOUR_MS
    Path("a").write_text(lines_of("other", country, started_ms))
    Path("b").write_text(
        lines_of(player, country, started_ms - 1)
        + "no event\n"
        + json.dumps({"event": "end", "player_id": player})  # of the time of the import
        + "\n"
    )
    before = json.dumps({"file": "a", "line": 7, "reason": "not JSON", "input": "?"}) + "\n"
    Path("a.rejects.jsonl").write_text(f"{before}{'of a part that is read again ' * 100}")
    files = [Dump(name).identity() for name in "ab"]
    totals = Totals(read=10, stored=9, discarded=0, rejected=1)
    begun = Checkpoint(files, started_ms, 0, file=0, line=10, rejects_bytes=len(before), totals=totals)
    Path("a.checkpoint").write_text(begun.text())
    status, summary = run("a", "b", "--resume")
    assert (status, summary["read"], summary["stored"], summary["rejected"]) == (1, 22, 20, 2)
    assert stored(player, country, now_ms) == (5, 6)
    rejects = Path("a.rejects.jsonl").read_text()
    assert rejects.startswith(before)
    assert [json.loads(line)["file"] for line in rejects.splitlines()] == ["a", "b"]
    newest = completed_sessions(player_id=player, now_ms=now_ms, limit=10)[0][0]
    assert (newest.ended_ms, newest.started_ms) == (started_ms, None)


def test_what_cassandra_refuses_ends_the_import(disturbed, start_import):
    connections["cassandra"].connection.session.execute(f"ALTER TABLE {disturbed}.session_by_country DROP player_id")
    printed, log = start_import("--workers", "1").communicate(timeout=60)
    summary = json.loads(printed)
    assert summary["stored"] == 0
    assert "Undefined column name player_id" in summary["error"]
    assert summary["error"].endswith("When that is fixed, run the command with --resume.")
    assert "Traceback" not in log


def test_a_checkpoint_that_is_none_is_refused(refused, tmp_path):
    (tmp_path / "dump").write_text(OLD)
    for content, said in (
        ("{}", "dump.checkpoint is there and is no checkpoint file of an import, so it is not overwritten."),
        (json.dumps(header("checkpoint")), "dump.checkpoint is no checkpoint. Start without --resume."),
        (Checkpoint(["1-a"], 1, 0).text(), "dump.checkpoint is the checkpoint of other files, or they have changed."),
    ):
        (tmp_path / "dump.checkpoint").write_text(content)
        for options in (("--resume",), ("--resume", "--dry-run")):
            assert refused("dump", *options).startswith(said)
        assert (tmp_path / "dump.checkpoint").read_text() == content


def digest(keyspace: str) -> dict[str, list]:
    """Every row of the event tables, with write times and without times to live."""
    return {
        table: sorted(map(str, cassandra.execute(f"SELECT {columns} FROM {keyspace}.{table}", ())))
        for table, columns in {
            "session_by_country": "country, hour, shard, ts, session_id, player_id, WRITETIME(player_id)",
            "session_by_player_id": "player_id, session_id, country, started_at, ended_at, WRITETIME(started_at)",
            "completed_session_by_player_id": "player_id, ended_at, session_id",
            "country_hour": "day, hour, country, shards",
        }.items()
    }


class Undisturbed(NamedTuple):
    """A dump, a store that imported it without interruption, and the digest of that store."""

    dump: Path
    keyspace: str
    rows: dict[str, list]
    began_ms: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Iterator[Undisturbed]:
    folder = tmp_path_factory.mktemp("undisturbed")
    manage("generate_sessions", "--events", str(INTERRUPTED_EVENTS), "--output", "dump.jsonl.bz2", cwd=folder)
    with a_keyspace() as keyspace:
        began_ms = time.time_ns() // 1_000_000
        imported = subprocess.run(
            import_command(), cwd=folder, env=environment_of(keyspace), capture_output=True, timeout=120, check=True
        )
        assert json.loads(imported.stdout)["stored"] == INTERRUPTED_EVENTS
        yield Undisturbed(folder / "dump.jsonl.bz2", keyspace, digest(keyspace), began_ms)


@pytest.fixture
def disturbed() -> Iterator[str]:
    with a_keyspace() as keyspace:
        yield keyspace


@contextmanager
def a_keyspace() -> Iterator[str]:
    """The name of a new one with the tables, which is dropped afterwards."""
    name = f"import_{uuid.uuid4().hex[:8]}"
    try:
        synced = manage("sync_cassandra", "--wait", "60", env=environment_of(name))
        assert synced.returncode == 0, synced.stderr
        yield name
    finally:
        drop_keyspace(name)


def environment_of(keyspace: str) -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "sessions_project.settings", "CASSANDRA_KEYSPACE": keyspace}


def import_command(*options: str) -> list[str]:
    return [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "dump.jsonl.bz2", "--json", *options]


@pytest.fixture
def start_import(
    start_process: Callable[..., subprocess.Popen], undisturbed: Undisturbed, disturbed: str, tmp_path: Path
) -> Callable[..., subprocess.Popen]:
    """Starts imports of the dump into the keyspace ``disturbed``."""
    shutil.copy(undisturbed.dump, tmp_path)

    def start(*options: str) -> subprocess.Popen:
        return start_process(
            import_command(*options),
            cwd=tmp_path,
            env=environment_of(disturbed),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    return start


@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_import_resumes_to_the_same_rows(tmp_path, undisturbed, disturbed, start_import, how, status):
    running = start_import()
    checkpoint = tmp_path / "dump.jsonl.bz2.checkpoint"
    while not (checkpoint.exists() and json.loads(checkpoint.read_text() or '{"line": 0}')["line"] > 0):
        assert running.poll() is None, "too fast to be interrupted"
        time.sleep(0.01)
    os.killpg(running.pid, how)
    _, log = running.communicate(timeout=30)
    assert running.returncode == status
    if how != signal.SIGKILL:
        assert "run the same command with --resume" in log
    line = json.loads(checkpoint.read_text())["line"]
    assert 0 < line < INTERRUPTED_EVENTS
    printed, log = start_import("--resume").communicate(timeout=120)
    assert json.loads(printed)["read"] == INTERRUPTED_EVENTS
    assert f"Continuing after line {line} of dump.jsonl.bz2." in log
    assert digest(disturbed) == undisturbed.rows
    assert not checkpoint.exists()


def test_an_import_that_is_killed_again_and_again_ends_with_the_same_rows(
    tmp_path, undisturbed, disturbed, start_import
):
    kills = int(os.environ.get("IMPORT_KILLS", "3"))
    checkpoint = tmp_path / "dump.jsonl.bz2.checkpoint"
    running = start_import()
    for _ in range(kills):
        while not checkpoint.exists():
            assert running.poll() is None, "too fast to be killed"
            time.sleep(0.01)
        time.sleep(random.uniform(0, MOST_SECONDS_BEFORE_A_KILL))
        if running.poll() is not None:  # it came to its end: once more from the beginning
            running.communicate()
            running = start_import("--workers", "1")
            continue
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate(timeout=30)
        running = start_import("--resume")
    printed, _ = running.communicate(timeout=120)
    assert (running.returncode, json.loads(printed)["rejected"]) == (0, 0)
    assert digest(disturbed) == undisturbed.rows


def test_a_person_sees_a_bar_and_a_table(tmp_path, player, country, now_ms):
    lines = lines_of(player, country, now_ms) + OLD + "no event\n"
    (tmp_path / "dump").write_text(lines)
    ours, terminal = pty.openpty()
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "dump"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, text=True) as running:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read_terminal(ours), b"")).decode()
        printed = running.stdout.read()
    assert running.returncode == 1
    assert "100%" in shown
    assert "Traceback" not in shown
    for label, number in (("read", 13), ("stored", 10), ("discarded (too old, or erased)", 2), ("rejected", 1)):
        assert re.search(rf"{re.escape(label)} +\W* +{number}\b", printed), printed
    assert "lines/s in " in printed
    assert "The rejected lines and why: dump.rejects.jsonl" in printed


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # nobody writes to it any more
        return b""


def test_the_days_that_an_import_has_written_are_counted_at_its_end(undisturbed):
    over_ms = undisturbed.began_ms - MARGIN_MS - DAY_MS
    query = f"SELECT DISTINCT toUnixTimestamp(day), day_hours FROM {undisturbed.keyspace}.start_count"
    days = cassandra.execute(query, ())
    assert len(days) > 20
    assert [day for day, counted in days if counted is None and day < over_ms] == []


@pytest.mark.parametrize("sessions", [1, 2_500])
def test_a_marker_that_cassandra_rejects_ends_the_import_with_what_to_do(
    run, player, country, now_ms, monkeypatch, sessions
):
    def rejected(*_: object, **__: object) -> None:
        raise StatementRejected("User importer has no MODIFY permission on late_write.")

    monkeypatch.setattr(late_writes, "announce_hours", rejected)
    Path("dump.jsonl").write_text(lines_of(player, country, now_ms, sessions))
    status, summary = run("dump.jsonl")
    assert status == 1
    assert summary["error"] == (
        "Cassandra refuses to write: User importer has no MODIFY permission on late_write. "
        "When that is fixed, run the command with --resume."
    )
    assert Path("dump.jsonl.checkpoint").exists()
