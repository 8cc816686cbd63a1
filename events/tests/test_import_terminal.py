"""manage.py import_sessions in a terminal and before a pipe: what a person sees of it."""

import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from conftest import PROJECT, manage
from events.tests.dumps import lines_of

IMPORT = [sys.executable, str(PROJECT / "manage.py"), "import_sessions", "dump"]
LOG_LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \w+"


@pytest.fixture
def dump(tmp_path, player, country, now_ms):
    (tmp_path / "dump").write_text(lines_of(player, country, now_ms))
    return tmp_path


def shown_in_a_terminal(command, **options) -> str:
    """All that a command writes to standard error, which is a terminal."""
    ours, terminal = pty.openpty()
    with subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL, **options):
        os.close(terminal)
        return b"".join(iter(lambda: _read(ours), b"")).decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # nobody writes to it any more
        return b""


def test_log_lines_stand_above_the_bar(dump):
    """Those of the workers, too: a line that is written while the bar is drawn would tear both."""
    shown = shown_in_a_terminal(
        [*IMPORT, "--rebase"], cwd=dump, env={**os.environ, "LOG_LEVEL": "DEBUG", "COLUMNS": "200"}
    )
    assert "Importing" in shown
    assert "All events are moved by" in shown
    assert len(re.findall("Connected to Cassandra", shown)) == 3  # one for each worker, and the import's own
    for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)):
        # A bar may stand behind what was erased, but not before or behind a log line.
        assert not re.search(rf"(Importing|newest event ).*{LOG_LINE}", line), line
        assert not re.search(rf"^{LOG_LINE}.*[━╸]", line), line


def test_the_log_of_the_store_is_not_written_by_every_worker(dump):
    ended = manage("import_sessions", "dump", cwd=dump)
    assert ended.returncode == 0
    assert not re.search(LOG_LINE, ended.stderr)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_summary_that_nobody_reads_is_no_error(dump, options):
    """As before ``| head -1``, which may have ended."""
    with subprocess.Popen(
        [*IMPORT, "--dry-run", *options], cwd=dump, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        running.stdout.close()
        log = running.stderr.read()
    assert (running.returncode, [line for line in log.splitlines() if not line.startswith("Importing")]) == (0, [])


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_an_import_whose_log_nobody_reads_goes_on(dump, level):
    """Also when there was something to log."""
    with subprocess.Popen(
        [*IMPORT, "--rebase"],
        cwd=dump,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LOG_LEVEL": level},
    ) as running:
        running.stderr.close()
        printed = running.stdout.read().decode()
    assert running.returncode == 0
    assert re.search(r"stored\W+10\b", printed)


def test_a_dry_run_does_not_say_that_it_stored(dump):
    printed = manage("import_sessions", "dump", "--dry-run", cwd=dump).stdout
    assert re.search(r"would be stored\W+10\b", printed)
    assert not re.search(r"│ stored", printed)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    ended = manage("import_sessions", "dump", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "dump cannot be read: No such file or directory.\n"


def test_most_of_a_file_lost_is_a_warning_of_its_own_line(tmp_path):
    (tmp_path / "dump").write_text("[\n{}\n]\n")
    ended = manage("import_sessions", "dump", "--dry-run", cwd=tmp_path)
    assert ended.returncode == 1
    assert re.search(
        r"^WARNING: 3 of the 3 lines of dump are not stored.* It looks like a JSON array\.", ended.stderr, re.M
    )


def test_generated_lines_that_nobody_reads_end_quietly():
    command = [sys.executable, str(PROJECT / "manage.py"), "generate_sessions", "--events", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.readline().startswith(b"{")
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 128 + signal.SIGPIPE
