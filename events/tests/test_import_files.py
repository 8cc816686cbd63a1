"""manage.py import_sessions overwrites and deletes only what an import has written, and reads none of it."""

import bz2
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PROJECT, free_port, manage
from events.importing.checkpoint import Checkpoint, CheckpointFile
from events.importing.files import ImportFailed, header, kind_of, locked
from events.tests.dumps import lines_of, stored

FORMER_REJECT = '{"line": 3, "reason": "not JSON", "input": "x"}\n'
FORMER_CHECKPOINT = (
    '{"files": ["1-a"], "started_ms": 1, "shift_ms": 0, "file": 0, "line": 0, "rejects_bytes": 0, '
    '"totals": {"read": 0, "stored": 0, "discarded": 0, "rejected": 0}}'
)
REJECTS = json.dumps(header("rejects")) + "\n" + FORMER_REJECT
CHECKPOINT = Checkpoint(["1-a"], 1, 0).text()
LETTER = "a letter\n"


@pytest.fixture
def folder(tmp_path, player, country, now_ms) -> Path:
    """Two dumps, and things that are none."""
    for name in ("day1.jsonl", "day2.jsonl"):
        (tmp_path / name).write_text(lines_of(player, country, now_ms))
    for name in ("letter", "day1.jsonl.checkpoint.new", "of day2.checkpoint.new"):
        (tmp_path / name).write_text(LETTER)
    (tmp_path / "rejects").write_text(REJECTS)
    (tmp_path / "checkpoint").write_text(CHECKPOINT)
    (tmp_path / "link to day1").symlink_to("day1.jsonl")
    (tmp_path / "link to letter").symlink_to("letter")
    (tmp_path / "day1 too").hardlink_to(tmp_path / "day1.jsonl")
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("day1.jsonl", "--rejects", "day1.jsonl"), "day1.jsonl is to be imported: name another file with --rejects."),
        (("day2.jsonl", "--checkpoint", "day2.jsonl"), "day2.jsonl is to be imported: name another file with --check"),
        (("day2.jsonl", "day1.jsonl", "--rejects", "./day1.jsonl"), "day1.jsonl is to be imported"),
        (("day1.jsonl", "--dry-run", "--rejects", "day1.jsonl"), "day1.jsonl is to be imported"),
        (("day1.jsonl", "--rejects", "link to day1"), "link to day1 is to be imported"),
        (("link to day1", "--rejects", "day1.jsonl"), "day1.jsonl is to be imported"),
        (("day1.jsonl", "--rejects", "day1 too"), "day1 too is to be imported"),
        (("--rejects", "day1.jsonl", "day2.jsonl"), "day1.jsonl is there and is no rejects file of an import, so it"),
        (("--dry-run", "--rejects", "day1.jsonl", "day2.jsonl"), "(which takes one word)"),
        (("--checkpoint", "day1.jsonl", "day2.jsonl"), "day1.jsonl is there and is no checkpoint file of an import"),
        (("day2.jsonl", "--rejects", "link to letter"), "link to letter is there and is no rejects file"),
        (("day2.jsonl", "--checkpoint", "link to letter"), "link to letter is there and is no checkpoint file"),
        (("day2.jsonl", "--rejects", "checkpoint"), "checkpoint is there and is no rejects file"),
        (("day2.jsonl", "--checkpoint", "rejects"), "rejects is there and is no checkpoint file"),
        (("day2.jsonl", "--checkpoint", "new", "--rejects", "./new"), "new is also what --rejects names"),
        (("day2.jsonl", "--checkpoint", "a", "--rejects", "a.new"), "a.new is also what --rejects names"),
        (("day1.jsonl",), "day1.jsonl.checkpoint.new is there and is no checkpoint file"),
        (("day2.jsonl", "--checkpoint", "of day2.checkpoint"), "of day2.checkpoint.new is there and is no checkpoint"),
    ],
)
def test_a_file_that_no_import_has_written_is_left_alone(refused, folder, command, said):
    before = contents(folder)
    assert said in refused(*command)
    assert contents(folder) == before


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_where_the_shell_has_led_a_stream_no_rejects_go(folder, stream):
    taken = folder / ("day1.jsonl" if stream == "stdin" else "log")
    taken.touch()
    before = taken.read_text()
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "-", "--rejects", taken.name]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with taken.open("r+") as file:
        ended = subprocess.run(command, cwd=folder, check=False, text=True, **{**streams, stream: file})
    assert ended.returncode == 1
    said = f"{taken.name} is {'read as' if stream == 'stdin' else 'where'} standard"
    assert said in (taken.read_text() if stream == "stderr" else ended.stderr)
    assert taken.read_text() == before or stream == "stderr"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (REJECTS, "holds the rejects of an import and is no dump"),
        (FORMER_REJECT, "holds the rejects of an import and is no dump"),
        (FORMER_REJECT.replace("{", '{"file": "a", ', 1), "holds the rejects of an import and is no dump"),
        (CHECKPOINT, "is the checkpoint of an import and no dump: leave it out."),
        (FORMER_CHECKPOINT, "is the checkpoint of an import and no dump: leave it out."),
    ],
)
@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_what_an_import_has_written_is_no_dump(refused, folder, content, said, pack):
    (folder / "other.jsonl").write_bytes(pack(content.encode()))
    before = {path.name for path in folder.iterdir()}
    assert f"other.jsonl {said}" in refused("day2.jsonl", "other.jsonl")
    assert {path.name for path in folder.iterdir()} == before


def test_standard_input_is_no_rejects_either(run, tmp_path):
    status, summary = run("-", "--dry-run", stdin=REJECTS.encode())
    assert (status, summary["read"]) == (1, 0)
    assert "- holds the rejects of an import" in summary["error"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"line": 3, "reason": "not JSON", "input": "x", "more": 1}',
        b'{"reason": "not JSON", "line": 3, "input": "x"}',
        b'{"line": "3", "reason": "not JSON", "input": "x"}',
        b'{"format": "player-sessions"}',
        b'["format", "player-sessions rejects"]',
        b'{"event": "start", "line": 3}',
        b"[" * 100_000,
        b"",
    ],
)
def test_other_lines_are_of_no_import(line):
    assert kind_of(line) is None


def test_rejects_of_a_previous_import_give_way_to_those_of_the_next(run, tmp_path, player, country, now_ms):
    for name, before in (("a", REJECTS), ("b", FORMER_REJECT)):
        (tmp_path / "dump").write_text("no event\n" + lines_of(player, country, now_ms))
        (tmp_path / name).write_text(before)
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(name)
        assert run("dump", "--dry-run", "--rejects", "link")[1]["rejected"] == 1
        assert "no event" in (tmp_path / name).read_text()
        (tmp_path / "dump").write_text(lines_of(player, country, now_ms))
        assert run("dump", "--dry-run", "--rejects", "link")[0] == 0
        assert not (tmp_path / name).exists()


def test_an_empty_file_of_somebody_is_used_and_stays(run, tmp_path, player, country, now_ms):
    """Such as mktemp makes."""
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms))
    (tmp_path / "mine").touch()
    assert run("dump", "--dry-run", "--rejects", "mine")[0] == 0
    assert (tmp_path / "mine").read_text() == ""


def test_rejects_can_go_to_a_device(run, tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms) + "no event\n")
    status, summary = run("dump", "--rejects", "/dev/null")
    assert (status, summary["stored"], summary["rejected"], summary["error"]) == (1, 10, 1, None)
    assert Path("/dev/null").is_char_device()
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_two_imports_do_not_share_a_checkpoint(refused, folder, country, player, now_ms):
    with CheckpointFile(folder / "mine") as checkpoint:
        for _ in range(2):  # as it is made, and as it is replaced
            error = refused("day2.jsonl", "--checkpoint", "mine", "--rejects", "others")
            assert error.startswith("Another import has the checkpoint mine.")
            checkpoint.save(Checkpoint(["1-a"], now_ms, 0))
        assert json.loads((folder / "mine").read_text())["started_ms"] == now_ms
    assert not (folder / "others").exists()
    with CheckpointFile(folder / "mine"):
        pass  # it is free again
    assert (folder / "mine").exists()


def test_a_lock_is_of_the_file_that_is_there(tmp_path):
    """Who waited while it was replaced or deleted has the lock of nothing."""
    first = locked(tmp_path / "file")
    (tmp_path / "file").unlink()
    with locked(tmp_path / "file") as second:
        with pytest.raises(BlockingIOError):
            locked(tmp_path / "file")
        assert os.fstat(second.fileno()).st_ino == (tmp_path / "file").stat().st_ino
    first.close()


def test_a_checkpoint_that_is_a_link_stays_one(tmp_path, now_ms):
    (tmp_path / "link").symlink_to("there")
    with CheckpointFile(tmp_path / "link") as checkpoint:
        checkpoint.save(Checkpoint(["1-a"], now_ms, 0))
    assert (tmp_path / "link").is_symlink()
    assert Checkpoint.load(tmp_path / "there", files=["1-a"]).started_ms == now_ms


def test_a_checkpoint_of_the_former_version_is_read(tmp_path):
    (tmp_path / "it").write_text(FORMER_CHECKPOINT)
    assert Checkpoint.load(tmp_path / "it", files=["1-a"]) == Checkpoint(["1-a"], 1, 0)
    with pytest.raises(ImportFailed, match="of other files"):
        Checkpoint.load(tmp_path / "it", files=["2-b"])


def test_with_a_checkpoint_there_is_no_second_beginning_with_rebase(refused, folder):
    """It would store every event once more, at another time."""
    (folder / "day2.jsonl.checkpoint").write_text(CHECKPOINT)
    error = refused("day2.jsonl", "--rebase")
    assert error.startswith("day2.jsonl.checkpoint is the checkpoint of an interrupted import")
    assert "--resume" in error
    assert (folder / "day2.jsonl.checkpoint").read_text() == CHECKPOINT


def test_without_rebase_a_second_beginning_is_harmless_and_logged(tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms))
    (tmp_path / "dump.checkpoint").write_text(CHECKPOINT)
    ended = manage("import_sessions", "dump", cwd=tmp_path)
    assert ended.returncode == 0
    assert "beginning anew (--resume would continue it)" in ended.stderr
    assert stored(player, country, now_ms) == (5, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_an_import_that_cassandra_does_not_let_begin_says_so_once_and_leaves_no_trace(folder):
    (folder / "day2.jsonl.rejects.jsonl").write_text(REJECTS)
    before = contents(folder)
    port = free_port()
    ended = manage("import_sessions", "day2.jsonl", cwd=folder, env={**os.environ, "CASSANDRA_PORT": str(port)})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        f"Cassandra does not answer at 127.0.0.1, port {port}: Connection refused. "
        "Is it up, and do CASSANDRA_HOSTS and CASSANDRA_PORT name it?"
    ]
    assert contents(folder) == before
