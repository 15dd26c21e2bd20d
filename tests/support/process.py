"""Runs a command line of the server as a process tree, and makes sure that nothing of it is left."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.raw import wait_for

OURS = ("PRONGHORN_", "GUNICORN_", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS")
PATIENCE = 20.0
"""Seconds a process has to say or do what a test waits for."""


class Server:
    """`python -m pronghorn` with some arguments, in a folder, on a port of the kernel's choice.

    Both logs go to files, so that a test that reads neither cannot hold the server up. Leaving the block stops the
    server with TERM and fails if a process of it stays.
    """

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.errors = folder / "stderr.txt"
        self.output = folder / "stdout.txt"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with self.errors.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pronghorn", "--bind", "127.0.0.1:0", *arguments],
                cwd=folder,
                env=inherited | {"PYTHONDONTWRITEBYTECODE": "1"} | environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
            wait_for(lambda: not self.left(), "every process to be gone", PATIENCE)
        finally:
            for pid in self.left():
                os.kill(pid, signal.SIGKILL)
            self.process.wait(PATIENCE)

    @property
    def url(self) -> str:
        """Where it listens, as soon as it says so."""
        return self.said(r"http://[\d.]+:\d+")

    def said(self, pattern: str) -> str:
        """The first match of `pattern` in the error log; waits for it."""
        wait_for(
            lambda: re.search(pattern, self.errors.read_text()) or self.process.poll() is not None, pattern, PATIENCE
        )
        found = re.search(pattern, self.errors.read_text())
        assert found, f"ended with {self.process.poll()} and without {pattern!r}: {self.errors.read_text()}"
        return found[0]

    def left(self) -> list[int]:
        """The processes of its session that run."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry)]

    def _is_ours(self, entry: Path) -> bool:
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return int(fields[3]) == self.process.pid and fields[0] not in "ZX"
