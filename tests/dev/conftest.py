"""Servers for an application that is edited while they run."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.process import MODULE, Server
from tests.support.raw import Client, Response, wait_for

APPLICATION = """\
import os
import helper

def app(environ, start_response):
    if environ["PATH_INFO"] == "/lazy":
        import lazy
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.environ.get('COLOUR', 'none')} {helper.VERSION}".encode()]
"""


class Site:
    """A folder with an application, and a server that watches it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = 0
        self.old: set[int] = set()
        self.workers = 1
        self.server: Server
        self.write("app.py", APPLICATION)
        self.helper()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    def helper(self, more: str = "") -> str:
        """Another version of the module that the application imports; its text."""
        self.version += 1
        self.old = self.old or (self.server.workers() if hasattr(self, "server") else set())
        text = f"VERSION = {self.version}\n{more}"
        self.write("helper.py", text)
        return text

    def ask(self, *headers: str, target: str = "/") -> Response:
        headers = ("Host: localhost", *headers) if not any(h.startswith("Host") for h in headers) else headers
        with Client(self.server.url) as client:
            client.send("\r\n".join([f"GET {target} HTTP/1.1", *headers, "Connection: close", "\r\n"]).encode())
            return client.read_response()

    def shows(self, text: str | None = None, status: int = 200) -> Response:
        """Waits until an answer has the status and the text, by default that of the version."""
        wanted = f" {self.version}" if text is None else text

        def asked() -> Response | None:
            answer = self.ask()
            return answer if answer.status == status and wanted in answer.body.decode() else None

        answer = wait_for(asked, f"{status} with {wanted!r}\n{self.server.text}")

        def renewed() -> bool:
            # Their number alone says nothing: as many may be there for a moment while an old one still drains.
            found = self.server.workers()
            return len(found) == self.workers and not found & self.old

        wait_for(renewed, f"the old workers to be gone\n{self.server.text}")
        self.old = set()
        return answer

    @property
    def reloads(self) -> int:
        return self.server.text.count("reloading as generation")


@pytest.fixture(scope="module")
def serve(tmp_path_factory) -> Iterator[Callable[..., Site]]:
    """Starts `pronghorn --reload` in a folder of its own, once it is prepared."""
    with contextlib.ExitStack() as stack:

        def start(
            *arguments: str, workers: int = 1, prepare: Callable[[Site], object] = lambda _: None, **environ: str
        ) -> Site:
            site = Site(tmp_path_factory.mktemp("site"))
            site.workers = workers
            prepare(site)
            words = ("--workers", str(workers), *arguments)
            site.server = stack.enter_context(Server(site.folder, *words, **environ))
            return site

        yield start


@pytest.fixture
def dev(tmp_path) -> Iterator[Callable[..., Server]]:
    """Starts `pronghorn dev` in `tmp_path`, on a port of the kernel's choice."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, bind: tuple[str, ...] = (), **environ: str) -> Server:
            environ = {"PRONGHORN_BIND": "127.0.0.1:0"} | environ
            command = [*MODULE, "dev"]
            return stack.enter_context(Server(tmp_path, *arguments, command=command, bind=bind, **environ))

        yield start


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("FLASK_", "WERKZEUG_"))]:
        monkeypatch.delenv(name)
