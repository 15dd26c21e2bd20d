"""Runs the command as a process, or as a server with workers of which nothing is left afterwards."""

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.raw import wait_for

MODULE = (sys.executable, "-m", "pronghorn")
SCRIPT = (str(Path(sys.executable).parent / "pronghorn"),)

OURS = ("PRONGHORN_", "GUNICORN_", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS")
PATIENCE = 20.0
"""Seconds a process has to say or do what a test waits for."""


def environment(**more: str) -> dict[str, str]:
    """The environment of this process without the variables that the command reads, and with `more`.

    A server prints as a user's does, whatever this process does: what is buffered is there twice after a fork.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "PYTHONUNBUFFERED"))}
    return inherited | {"PYTHONDONTWRITEBYTECODE": "1"} | more


def run(
    folder: Path, *arguments: str, command: Sequence[str] = MODULE, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment(**environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    return _session_of(pid) is not None


def _session_of(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The main thread may be a zombie while others, killed as well, still hold the process's descriptors.
    return None if fields[0] in "ZX" and int(fields[17]) <= 1 else int(fields[3])


class Server:
    """The command with some arguments, in a folder, by default on a port of the kernel's choice.

    Both its outputs go to files, so that a test that reads neither cannot hold the server up. Leaving the block stops
    the server quickly and fails if a process of its session stays.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        command: Sequence[str] = MODULE,
        bind: Sequence[str] = ("127.0.0.1:0",),
        pass_fds: Sequence[int] = (),
        **environ: str,
    ) -> None:
        outputs = Path(tempfile.mkdtemp(prefix="server-", dir=folder))
        self.errors = outputs / "stderr.txt"
        self.output = outputs / "stdout.txt"
        binds = [word for address in bind for word in ("--bind", address)]
        with self.errors.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *binds, *arguments],
                cwd=folder,
                env=environment(**environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        self.pid = self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self.arbiters():
            os.kill(pid, signal.SIGINT)
        try:
            self.process.wait(PATIENCE)
            wait_for(lambda: not self.processes(), f"every process to be gone\n{self.text}", PATIENCE)
            # Of a debug build (worker/remains.py, debug.pxd) and of the sanitizers.
            assert not re.search(r"and still holds|this must hold|Sanitizer|runtime error:", self.text), self.text
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            self.process.wait(PATIENCE)

    @property
    def text(self) -> str:
        """What it has written to standard error so far."""
        return self.errors.read_text()

    @property
    def lines(self) -> list[str]:
        """The lines of `text`."""
        return self.text.splitlines()

    def said(self, pattern: str, times: int = 1) -> list[str]:
        """The matches of `pattern` in what it said; waits until there are so many."""
        wait_for(
            lambda: self._ended() or len(re.findall(pattern, self.text)) >= times,
            f"{pattern!r} in\n{self.text}",
            PATIENCE,
        )
        found: list[str] = re.findall(pattern, self.text)
        assert len(found) >= times, f"ended with {self.process.poll()} and without {pattern!r}: {self.text}"
        return found

    def _ended(self) -> bool:
        # After an upgrade it is another process that goes on.
        return self.process.poll() is not None and not self.processes()

    def ready(self, workers: int) -> Self:
        """Waits until so many workers have been ready."""
        self.said("is ready after", workers)
        return self

    @property
    def url(self) -> str:
        """Where it listens, as soon as it says so."""
        return self.said(r"listening on ((?:http|uwsgi)://[\d.]+:\d+)")[0]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `url`."""
        host, _, port = self.url.partition("://")[2].partition(":")
        return host, int(port)

    def get(self, path: str = "/") -> tuple[int, str]:
        """Status and text of one request on its own connection. OSError if there is no answer."""
        # What listens on 0.0.0.0 is asked there as well: to connect, Linux takes it for this machine.
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=PATIENCE)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def signal(self, number: int) -> None:
        """Sends a signal to the arbiter."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Waits for the end; the exit status."""
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        """TERM; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def processes(self) -> set[int]:
        """The processes of its session that run."""
        running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return {pid for pid in running if _session_of(pid) == self.pid}

    def arbiters(self) -> set[int]:
        """The arbiters of its session that run: after an upgrade it is another process, during one there are two."""
        named = {int(pid) for pid in re.findall(r"arbiter pid (\d+)", self.text)} | {self.pid}
        return named & self.processes()

    def workers(self) -> set[int]:
        """All of them but the arbiters, and children that prepare a reload."""
        # One without a name has ended while it was looked at.
        return {pid for pid in self.processes() - self.arbiters() if _name_of(pid) not in {"", "pronghorn-conf"}}


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
