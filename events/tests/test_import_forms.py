"""manage.py import_sessions with files that are no JSON lines, or not whole: what is said, and what is stored."""

import bz2
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import zipfile

import pytest

from conftest import PROJECT
from events.importing.checkpoint import Totals
from events.importing.dump import MOST_LINE_BYTES, Dump, DumpError
from events.importing.forms import text_form
from events.importing.losses import LINES_THAT_TELL, limit_passed, loss_warning
from events.tests.dumps import OLD, lines_of, stored

LINE = b'{"event":"end","player_id":"p"}\n'


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("dump.jsonl", LINE)
    return packed.getvalue()


def tarred() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("dump.jsonl"))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(), "is a zip archive, not JSON lines. Unpack it: unzip -p FILE"),
        (tarred(), "is a tar archive, not JSON lines. Unpack it: tar -xOf FILE"),
        (gzip.compress(tarred()), "is a tar archive"),
        (gzip.compress(bz2.compress(LINE)), "is packed twice, by bzip2 inside"),
        (bz2.compress(gzip.compress(LINE)), "is packed twice, by gzip inside"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "is packed by zstd"),
        (b"\xfd7zXZ\0\0\4", "is packed by xz"),
        (b"PAR1\x15\x04", "is Parquet"),
        (LINE.decode().encode("utf-16"), "is UTF-16"),
        (LINE.decode().encode("utf-16-le"), "is UTF-16"),
        (LINE.decode().encode("utf-32"), "is UTF-32"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0", "is neither text nor bzip2 nor gzip"),
        (b"\x7fELF\2\1\1\0\0 and more\n", "is neither text nor bzip2 nor gzip"),
        (gzip.compress(b""), "is empty"),
        (bz2.compress(b""), "is empty"),
    ],
)
def test_what_is_no_text_is_named_before_anything_is_read(tmp_path, content, said):
    (tmp_path / "dump").write_bytes(content)
    with pytest.raises(DumpError) as raised:
        Dump(str(tmp_path / "dump"))
    assert f"dump {said}" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"event":"end","player_id":"p"},\n{"event":"end","player_id":"p"}]', "a JSON array"),
        ("[\n {\n", "a JSON array"),
        (json.dumps({"event": "end", "player_id": "p"}, indent=1), "JSON with several lines for each object"),
        ('{"events": [{"event":"end"}]}', "one JSON object around the events"),
        ('{"events": [\n', "one JSON object around the events"),
        ('{"event":"end"}{"event":"end"}', "JSON with several objects on a line"),
        ("{'event': 'end', 'player_id': 'p'}", "Python's notation"),
        ("event,player_id,ts\nend,p,\n", "CSV"),
        ("event\tplayer_id\tts\nend\tp\t\n", "CSV"),
        ("<!DOCTYPE html>\n<html>", "a web page"),
        ("<?xml version='1.0'?>\n", "XML"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n", "a pointer of Git LFS"),
        ("\0" * 1_000, "nothing but zero bytes"),
        ('{"event":"START","player":"p1"}\n{"event":"START","player":"p1"}', None),
        ("a letter, with a comma\nor two, here, there\n", None),
        ("", None),
    ],
)
def test_the_form_of_a_text_is_seen_in_its_first_lines(text, said):
    form = text_form(text.splitlines())
    assert (form.name[: len(said)] if said else form) == (said and said)


def test_a_file_of_another_form_is_read_no_further(run, tmp_path, player, country, now_ms):
    """What a good file before it has is stored, and the rejects do not fill the disk."""
    (tmp_path / "good").write_text(lines_of(player, country, now_ms))
    (tmp_path / "pretty").write_text(json.dumps([{"event": "end", "player_id": "p"}] * 50_000, indent=1))
    status, summary = run("good", "pretty", "--rejects", "bad")
    assert (status, summary["stored"]) == (1, 10)
    assert LINES_THAT_TELL <= summary["rejected"] < 20_000
    assert len((tmp_path / "bad").read_text().splitlines()) == 1 + summary["rejected"]
    assert "pretty: each of the first " in summary["error"]
    assert "lines is rejected. It looks like a JSON array. Make JSON lines of it: jq -c '.[]' FILE" in summary["error"]
    assert summary["error"].endswith("To read on all the same: --max-rejects all.")
    assert (tmp_path / "good.checkpoint").exists()  # for what is stored
    assert stored(player, country, now_ms) == (5, 5)


def test_when_nothing_is_stored_nothing_is_left_to_go_on_with(run, tmp_path):
    (tmp_path / "dump.csv").write_text("end,p,2026-01-01\n" * 5_000)
    status, summary = run("dump.csv")
    assert (status, summary["stored"]) == (1, 0)
    assert "It looks like CSV." in summary["error"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump.csv", "dump.csv.rejects.jsonl"]


@pytest.mark.parametrize(
    ("rejected", "of_file", "most", "stops"),
    [
        (0, Totals(), None, False),
        (LINES_THAT_TELL - 1, Totals(LINES_THAT_TELL - 1, 0, 0, LINES_THAT_TELL - 1), None, False),
        (LINES_THAT_TELL, Totals(LINES_THAT_TELL, 0, 0, LINES_THAT_TELL), None, True),
        (LINES_THAT_TELL, Totals(LINES_THAT_TELL + 1, 1, 0, LINES_THAT_TELL), None, False),
        (LINES_THAT_TELL, Totals(LINES_THAT_TELL + 1, 0, 1, LINES_THAT_TELL), None, False),
        (0, Totals(10, 10, 0, 0), 0, False),
        (1, Totals(10, 9, 0, 1), 0, True),
        (7, Totals(), 7, False),
        (8, Totals(), 7, True),
        (10**9, Totals(10**9, 0, 0, 10**9), float("inf"), False),
    ],
)
def test_an_import_stops_at_the_limits_of_rejects(rejected, of_file, most, stops):
    totals = Totals(read=2 * 10**9, rejected=rejected)
    assert bool(limit_passed(totals, of_file, most_rejects=most)) == stops


def test_max_rejects_counts_those_of_all_files(run, tmp_path, player, country, now_ms):
    for name in "ab":
        (tmp_path / name).write_text(lines_of(player, country, now_ms) + "no event\n")
    status, summary = run("a", "b", "--dry-run", "--max-rejects", "1")
    assert (status, summary["rejected"]) == (1, 2)
    assert summary["error"].startswith("b: 2 lines are rejected, and --max-rejects allows 1. The first is line 11: not")
    assert run("a", "b", "--dry-run", "--max-rejects", "2")[1]["error"] is None


@pytest.mark.parametrize("wrong", ["-1", "some", "1.5", ""])
def test_max_rejects_is_a_number_or_all(refused, capsys, wrong):
    from django.core.management import CommandError, call_command

    with pytest.raises(CommandError, match="is neither a number of lines nor 'all'"):
        call_command("import_sessions", "dump", f"--max-rejects={wrong}")


@pytest.mark.parametrize(
    ("of_file", "shift_ms", "said"),
    [
        (Totals(10, 5, 5, 0), 0, None),
        (Totals(), 0, None),
        (
            Totals(10, 4, 6, 0),
            0,
            "6 of the 10 lines of it are not stored: 6 are too old or erased, 0 are rejected. With",
        ),
        (Totals(10, 0, 9, 1), 1, "They happened more than a year before the newest event"),
        (Totals(10, 4, 0, 6), 0, "6 are rejected. Their file says why."),
    ],
)
def test_most_of_a_file_is_not_lost_in_silence(of_file, shift_ms, said):
    warning = loss_warning("it", of_file, [], shift_ms=shift_ms)
    assert said in warning if said else warning is None


def test_a_warning_is_of_the_file_that_is_lost(run, tmp_path, player, country, now_ms):
    (tmp_path / "good").write_text(lines_of(player, country, now_ms))
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "page").write_text("<html>\n<p>Log in.</p>\n")
    status, summary = run("old", "page", "good", "--dry-run")
    assert (status, summary["error"]) == (1, None)
    old, page = summary["warnings"]
    assert old.startswith("2 of the 2 lines of old are not stored: 2 are too old")
    assert page.startswith(
        "2 of the 2 lines of page are not stored: 0 are too old or erased, 2 are rejected. It looks like a web"
    )


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, None])
def test_an_empty_or_closed_standard_input_is_an_error(tmp_path, stdin):
    command = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "-", "--dry-run", "--workers", "1"]
    close = None if stdin else (lambda: os.close(0))
    ended = subprocess.run(
        command, cwd=tmp_path, stdin=stdin, capture_output=True, text=True, check=False, preexec_fn=close
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith(f"Standard input is {'empty' if stdin else 'closed'}.")


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_line_of_zeros_is_one_reject_wherever_it_stands(run, tmp_path, player, country, now_ms, where):
    """A power failure leaves such lines."""
    lines = lines_of(player, country, now_ms).splitlines(keepends=True)
    zeros = "\0" * (MOST_LINE_BYTES * 20) + "\n"
    lines.insert({"first": 0, "middle": 5, "last": 10}[where], zeros)
    (tmp_path / "dump").write_text("".join(lines))
    status, summary = run("dump", "--dry-run")
    assert (status, summary["would_be_stored"], summary["rejected"]) == (1, 10, 1)


def test_zeros_before_an_event_reject_its_line_alone(run, tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text("\0" * 4_096 + lines_of(player, country, now_ms))
    _, summary = run("dump", "--dry-run")
    assert (summary["would_be_stored"], summary["rejected"]) == (9, 1)


def test_a_file_that_is_cut_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(LINE * 50_000)
    blocks = Dump(str(path)).blocks()
    lines = len(next(blocks).lines)
    os.truncate(path, path.stat().st_size - len(LINE) // 2)
    with pytest.raises(DumpError) as raised:
        lines += sum(len(block.lines) for block in blocks)
    assert lines < 50_000
    assert str(raised.value).endswith("only: it has become shorter since it was opened.")


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(LINE * 50_000)
    blocks = Dump(str(path)).blocks()
    lines = len(next(blocks).lines)
    with path.open("ab") as file:
        file.write(LINE * 2)
    assert lines + sum(len(block.lines) for block in blocks) == 50_002


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
@pytest.mark.parametrize("behind", [b"\0", b"\0" * 3_000_000, b"xyz", b"\0\0\xff\xfegarbage" * 100_000])
def test_what_packers_leave_behind_whole_streams_is_a_warning(tmp_path, pack, behind):
    path = tmp_path / "dump"
    path.write_bytes(pack(LINE) + b"\0" * 512 + pack(LINE * 2) + behind)
    dump = Dump(str(path))
    assert [line + b"\n" for block in dump.blocks() for line in block.lines] == [LINE] * 3
    assert dump.warnings == [
        f"{path}: {len(behind):,} bytes after its last whole stream are no lines; they are left out."
    ]


def test_with_such_a_warning_the_import_has_not_failed(run, tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_bytes(bz2.compress(lines_of(player, country, now_ms).encode()) + b"\0" * 10)
    status, summary = run("dump", "--dry-run")
    assert (status, summary["would_be_stored"], summary["error"]) == (0, 10, None)
    assert "10 bytes after its last whole stream are no lines" in summary["warnings"][0]


@pytest.mark.parametrize(
    ("pack", "behind"),
    [
        (bz2.compress, LINE),
        (bz2.compress, b"{}\n"),
        (bz2.compress, gzip.compress(LINE)),
        (bz2.compress, bz2.compress(LINE)[:-1]),
        (bz2.compress, b"BZ"),
        (bz2.compress, b"\0\0BZh9nonsense and more"),
        (gzip.compress, LINE),
        (gzip.compress, bz2.compress(LINE)),
        (gzip.compress, gzip.compress(LINE)[:-1]),
        (gzip.compress, b"\x1f"),
        (gzip.compress, gzip.compress(LINE)[:-8] + b"\0" * 8),
    ],
)
def test_data_behind_a_stream_that_cannot_be_read_is_an_error(tmp_path, pack, behind):
    (tmp_path / "dump").write_bytes(pack(LINE) + behind)
    with pytest.raises(DumpError, match=r"could be read up to line [12] only: it is (cut off|damaged)"):
        list(Dump(str(tmp_path / "dump")).blocks())


def test_streams_and_padding_of_any_size_give_every_line_once(tmp_path):
    chance = random.Random(5)
    path = tmp_path / "dump"
    for _ in range(30):
        text = b"".join(b'{"a":%d}\n' % chance.getrandbits(chance.randrange(1, 60)) for _ in range(20_000))
        cuts = sorted(chance.randrange(len(text)) for _ in range(chance.randrange(5)))
        pack = chance.choice([bz2.compress, lambda part: gzip.compress(part, chance.choice([0, 1, 9]))])
        parts = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        path.write_bytes(b"".join(pack(part) + b"\0" * chance.choice([0, 1, 2, 512]) for part in parts))
        assert b"".join(line + b"\n" for block in Dump(str(path)).blocks() for line in block.lines) == text
