"""Background processes that outlive the command that started them, found again by their pid file."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

# Cassandra drains its memtables on SIGTERM; a full one takes seconds on a slow disk.
STOP_SECONDS = 60


class EmbeddedError(Exception):
    """Something that the reader of the message can fix."""


class Daemon:
    """One background process with a pid file, a log file and a way to tell that it answers.

    It works in its folder, so a recycled process id is never mistaken for ours. (The time of its start would change
    with the system's clock.)
    """

    def __init__(self, *, name: str, folder: Path, address: tuple[str, int], answers: Callable[[], bool]) -> None:
        self.name = name
        self.folder = folder
        self.address = address
        self.answers = answers
        self.log = folder / "output.log"
        self._pid_file = folder / "pid"
        self._ending_file = folder / "ending"  # there while a command waits for its end
        self._child: subprocess.Popen[bytes] | None = None  # when this object launched it

    def __str__(self) -> str:
        return f"{self.name} at {self.address[0]}:{self.address[1]}"

    def process(self) -> psutil.Process | None:
        """The running process, or None."""
        if self._child is not None:
            self._child.poll()
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
            if Path(process.cwd()) == self.folder.resolve():
                return process
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            pass  # a zombie's folder cannot be read either
        return None

    @property
    def was_launched_here(self) -> bool:
        """By this object; another command may have been sooner."""
        return self._child is not None

    def wait_if_ending(self) -> None:
        """Return once no other command is stopping it."""
        process = self.process()
        if process is not None and self._ending_file.exists():
            psutil.wait_procs([process], timeout=STOP_SECONDS)

    def launch(self, command: Sequence[str | Path]) -> None:
        """Start ``command``, detached from this terminal: Ctrl-C here must not reach it directly.

        Raises EmbeddedError when another program has the port.
        """
        if port_is_taken(self.address):
            raise EmbeddedError(
                f"{self.name} cannot start: another program listens on {self.address[0]}:{self.address[1]}.\n"
                f"Stop it; or, if it is the server that you want to use, say so with CASSANDRA_HOSTS or REDIS_URL; or "
                f"start ours elsewhere: set another CASSANDRA_PORT, or a REDIS_URL with another port for 'make up' and "
                f"all that follows."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ending_file.unlink(missing_ok=True)
        if self._child is not None:
            self._child.wait()
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        self._pid_file.write_text(str(self._child.pid))

    def wait_until_ready(self, *, seconds: float) -> None:
        """Return once it answers; raise EmbeddedError with the end of its log when it does not."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if self.process() is None:
                raise EmbeddedError(f"{self} ended while starting. The end of {self.log}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self} did not answer within {seconds:.0f} s. See {self.log}")
            time.sleep(0.2)

    def stop(self) -> bool:
        """End the process and wait until it has ended; False when none was running."""
        process = self.process()
        if process is None:
            return False
        self._ending_file.touch()
        process.send_signal(signal.SIGCONT)  # a paused process would never see the SIGTERM
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
        if self._child is not None:
            self._child.wait()
        if self.process() is None:  # else another command has started it anew
            self._pid_file.unlink(missing_ok=True)
        self._ending_file.unlink(missing_ok=True)
        return True

    def _log_tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def port_is_taken(address: tuple[str, int]) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0
