"""The command as a process, for tests of what signals and accidents do to it."""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PATIENCE = 15.0
"""Seconds until a condition counts as failed; only a broken server ever needs them."""

APP = """
import os, time

VERSION = "one"

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/sleep/"):
        open("inside", "w").close()
        time.sleep(float(path.removeprefix("/sleep/")))
    if path == "/crash":
        os.kill(os.getpid(), 11)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {VERSION}".encode()]
"""

OURS = ("PRONGHORN_", "GUNICORN_", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS")


def until(condition, what):
    """Waits for a condition; its value."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children(pid):
    """The living children of a process."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] not in "ZX":
                found.add(int(entry.name))
    return found


class Command:
    """One running `python -m pronghorn`."""

    def __init__(self, cwd, *arguments, bind=("127.0.0.1:0",), **options):
        environ = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        binds = [word for address in bind for word in ("--bind", address)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pronghorn", *binds, *arguments],
            cwd=cwd, env=environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **options,
        )  # fmt: skip
        self.pid = self.process.pid
        self.lines = []
        self.seen = set()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
        self.process.stderr.close()

    @property
    def text(self):
        return "\n".join(self.lines)

    def said(self, pattern, count=1):
        """Waits until the log holds a pattern; the matches."""

        def found():
            matches = re.findall(pattern, self.text)
            return matches if len(matches) >= count else None

        return until(found, f"{pattern!r} in\n{self.text}")

    def ready(self, workers):
        self.said("is ready after", workers)
        self.workers()
        return self

    @property
    def address(self):
        host, port = self.said(r"listening on http://([\d.]+):(\d+)")[0]
        return host, int(port)

    def workers(self):
        found = children(self.pid)
        self.seen |= found
        return found

    def get(self, path="/"):
        """Status and text of one request on its own connection."""
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def signal(self, number):
        self.workers()
        os.kill(self.pid, number)

    def wait(self):
        """Waits for the end; the exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def close(self):
        self.workers()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        left = {pid for pid in self.seen if alive(pid)}
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self._reader.join(PATIENCE)
        assert not left, f"workers {left} outlived the arbiter\n{self.text}"


@pytest.fixture
def place(tmp_path):
    """A folder with an application."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def start(place):
    """Starts commands there, and stops them afterwards."""
    started = []

    def run(*arguments, **options):
        command = Command(place, *(arguments or ("app:app",)), **options)
        started.append(command)
        return command

    yield run
    for command in started:
        command.close()
