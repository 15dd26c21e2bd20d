"""Debian's slowhttptest as an attacker: how each of its modes is called, and what it says became of its clients."""

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from bench.measure import Failed

TOOL = "slowhttptest"
MODES = {
    "-H": ["-H", "-i", "5"],
    "-B": ["-B", "-i", "5", "-s", "8192"],
    "-R": ["-R"],
    "-X": ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"],
}

LIMITS = {"-H": "header_timeout", "-B": "body_timeout", "-X": "send_timeout"}
"""The settings of ours that bound them. The ranges that -R asks for are one header that is too long."""

PACE = 500
"""Clients that come in a second."""

ALL_GONE = "No open connections left"
CLOSED = re.compile(r"closed:\s+(?:\x1b\[[\d;]*m)*(\d+)")


class Tool:
    """One mode of it while the block runs. It ends when its last client is cut off: then it begins anew.

    Arguments:
        seconds: it has ended by itself after twice that.
    """

    def __init__(self, mode: str, port: int, count: int, seconds: float) -> None:
        path = "large" if mode in ("-X", "-R") else ""
        size = ["-c", str(count), "-r", str(PACE), "-l", str(int(2 * seconds)), "-p", "5", "-v", "1"]
        command = shlex.join([TOOL, *MODES[mode], *size, "-u", f"http://127.0.0.1:{port}/{path}"])
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        # A group of its own, so that an end of the loop is one of the tool as well.
        self.process = subprocess.Popen(
            ["chrt", "--idle", "0", "sh", "-c", f"while {command}; do :; done"],
            stdout=self.output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self.connected = count
        self.result: dict[str, int] = {}

    def __enter__(self) -> Self:
        time.sleep(self.connected / PACE)  # it does not say when all are there: `check` does
        return self

    def check(self, held: int) -> None:
        """Raises Failed unless it is at it still, and its clients are, or were, connected."""
        if self.process.poll() is not None:
            raise Failed(f"{TOOL} has ended: {self._said().strip().splitlines()[-1:]}")
        if held + self._cut() < self.connected / 2:
            raise Failed(f"{TOOL} has {held} connections, and {self._cut()} were closed, of {self.connected}")

    def __exit__(self, *_: object) -> None:
        self.result = {"cut": self._cut()}
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output.close()

    def _cut(self) -> int:
        """All of each round that is over, and what it says of this one, every five seconds."""
        *over, now = self._said().split(ALL_GONE)
        closed = CLOSED.findall(now)
        return self.connected * len(over) + (int(closed[-1]) if closed else 0)

    def _said(self) -> str:
        return Path(f"/proc/self/fd/{self.output.fileno()}").read_text(errors="replace")
