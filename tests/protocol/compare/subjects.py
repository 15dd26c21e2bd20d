"""The servers that are compared, started as the benchmark starts them."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import PEER_BIN, own_version
from bench.measure import free_port
from bench.servers import Launch, granian, gunicorn, pronghorn, waitress

from tests.support.process import Server
from tests.support.raw import Client, wait_for

MODULE = "tests.protocol.compare.application"
ROOT = Path(__file__).parents[3]
QUIET = 0.3
"""Seconds in which nothing is recorded."""
BOOT = 20.0
"""Seconds a server has to answer its first request."""


def uvicorn(parser: str) -> Callable[[Launch], list[str]]:
    """By the interface that it is made for."""

    def command(launch: Launch) -> list[str]:
        kind = ["--interface", "asgi3", "--http", parser, "--log-level", "error", "--no-access-log"]
        return [str(PEER_BIN / "uvicorn"), *kind, "--host", "127.0.0.1", "--port", str(launch.port), f"{MODULE}:asgi"]

    return command


@dataclass(frozen=True)
class Subject:
    """One server; `packages` are those whose versions matter."""

    name: str
    packages: tuple[str, ...]
    command: Callable[[Launch], list[str]]

    @property
    def version(self) -> str:
        """Its packages and their versions; of Pronghorn the commit."""
        if self.name == "pronghorn":
            return f"pronghorn {own_version()}"
        code = "import sys, importlib.metadata as m; print(*[f'{n} {m.version(n)}' for n in sys.argv[1:]], sep=', ')"
        return subprocess.run(
            [PEER_BIN / "python", "-c", code, *self.packages], capture_output=True, text=True, check=True
        ).stdout.strip()


SUBJECTS = (
    Subject("pronghorn", ("pronghorn",), pronghorn),
    Subject(
        "gunicorn-gthread", ("gunicorn",), lambda launch: [*gunicorn("gthread")(launch), "--http-parser", "python"]
    ),
    Subject("gunicorn-gthread-c", ("gunicorn", "gunicorn_h1c"), gunicorn("gthread")),
    Subject("granian", ("granian",), granian),
    Subject("uvicorn-h11", ("uvicorn", "h11"), uvicorn("h11")),
    Subject("uvicorn-httptools", ("uvicorn", "httptools"), uvicorn("httptools")),
    Subject("waitress", ("waitress",), waitress),
)


class Running:
    """A server that runs, and what its application has recorded."""

    def __init__(self, url: str, record: Path, server: Server) -> None:
        self.url = url
        self.record = record
        self.server = server
        self.first = server.processes()

    def crashes(self) -> int:
        """How many of the processes that it began with are gone."""
        return len(self.first - self.server.processes())

    def settle(self) -> None:
        """Waits until the server is done with a client that gave up waiting: what it records then is not the next's."""
        size = -1
        while size != self.record.stat().st_size:
            size = self.record.stat().st_size
            time.sleep(QUIET)

    def forget(self) -> None:
        """Empties the record."""
        self.record.write_bytes(b"")


@contextmanager
def running(subject: Subject) -> Iterator[Running]:
    """The server, once it has answered."""
    with tempfile.TemporaryDirectory(prefix=f"{subject.name}-") as name:
        folder = Path(name)
        record, port = folder / "record", free_port()
        command = subject.command(Launch(f"{MODULE}:application", port, blocking=True))
        # Nobody is a trusted proxy, where a server knows the notion: all of them run on the client's own machine.
        environ = {"RECORD": str(record), "PYTHONPATH": str(ROOT), "FORWARDED_ALLOW_IPS": "192.0.2.1"}
        with Server(folder, command=command, bind=(), **environ) as server:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: _answers(url, server), f"{subject.name} to answer\n{server.text}", BOOT)
            yield Running(url, record, server)


def _answers(url: str, server: Server) -> bool:
    assert server.process.poll() is None, server.text
    try:
        with Client(url) as client:
            return client.get("/boot").status == 200
    except OSError:
        return False
