"""The servers that the cases run on: how each is configured, started, upgraded and found."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from tests.support.process import MODULE, Server
from tests.support.raw import wait_for

ROOT = Path(__file__).parents[2]
GUNICORN = ROOT / "build" / "gunicorn" / "bin" / "gunicorn"
"""Made by `make faults GUNICORN=1`; nothing else needs it."""

PIDFILE = "run.pid"
DIARY = "diary.txt"
"""Where the workers note when they begin and end to import the application."""

Settings = dict[str, Any]


class Unavailable(Exception):  # noqa: N818 - no error: the case cannot be played here
    """The machine or the server lacks what the case needs; the text says what."""


class Loaded(Server):
    """A server whose settings stand in a file of its folder, and whose arbiter may be followed by another."""

    name: ClassVar[str]
    config: ClassVar[str]
    """The file of the settings."""
    refusal: ClassVar[str]
    """What its log says once when a reload fails; empty if there is no such line."""

    def __init__(
        self, folder: Path, settings: Settings, wrap: Sequence[str] = (), application: str = "application:app"
    ):
        self.folder = folder
        self.started = time.monotonic()
        self.configure(settings)
        super().__init__(
            folder, application, command=(*wrap, *self.command()), bind=(), FAULTS_DIARY=str(folder / DIARY)
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The first arbiter may have been followed by others.
        for pid in self.arbiters():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        super().__exit__(kind, error, trace)

    @classmethod
    def command(cls) -> Sequence[str]:
        """How it is started, without the application."""
        raise NotImplementedError

    def configure(self, settings: Settings) -> None:
        """Writes the settings; HUP makes a running server read them."""
        raise NotImplementedError

    @property
    def arbiter(self) -> int:
        """The process that the pidfile names."""
        return int((self.folder / PIDFILE).read_text())

    def kill(self, number: int, pid: int | None = None) -> None:
        """A signal to the arbiter that is in charge, or to one process; nobody there is no error."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(self.arbiter if pid is None else pid, number)

    def arbiters(self) -> set[int]:
        """The processes that have children of the same session."""
        running = self.processes()
        parents = {parent_of(pid) for pid in running}
        return running & parents

    def crew(self) -> set[int]:
        """The workers: they have opened the diary, and are no arbiters."""
        return self.processes() & set(self.diary("import")) - self.arbiters() - {self.pid}

    def diary(self, event: str) -> dict[int, float]:
        """When each process noted the event."""
        path = self.folder / DIARY
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return {int(pid): float(at) for what, pid, at in lines if what == event}

    def up(self, workers: int) -> None:
        """Waits until so many workers have imported the application, and one answers."""
        wait_for(
            lambda: self.process.poll() is not None or len(self.diary("imported")) >= workers,
            f"{workers} workers to be up\n{self.text}",
        )

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return self.get("/environment")[0] == 200
            return False

        wait_for(answers, "an answer")

    def upgrade(self, workers: int) -> None:
        """Replaces the arbiter in place, as the documents of the server say, and waits until the old one has left."""
        raise NotImplementedError


class Pronghorn(Loaded):
    """This server."""

    name = "Pronghorn"
    config = "pronghorn.toml"
    refusal = "reload failed"

    @classmethod
    def command(cls) -> Sequence[str]:
        return MODULE

    def configure(self, settings: Settings) -> None:
        given = {"bind": ["127.0.0.1:0"], "pidfile": PIDFILE} | settings
        (self.folder / self.config).write_text("".join(f"{name} = {toml(value)}\n" for name, value in given.items()))

    def upgrade(self, workers: int) -> None:
        before = self.arbiter
        self.kill(signal.SIGUSR2)
        wait_for(lambda: self.arbiter != before and before not in self.processes(), f"a new arbiter\n{self.text}")


class Gunicorn(Loaded):
    """The server that everybody knows, with the worker class that is nearest to ours."""

    name = "Gunicorn"
    config = "gunicorn.conf.py"
    refusal = ""

    UNKNOWN = ("boot_timeout", "body_memory", "spool_dir", "max_memory", "drain_delay")
    """Settings that it does not have."""

    @classmethod
    def command(cls) -> Sequence[str]:
        return (str(GUNICORN),)

    def configure(self, settings: Settings) -> None:
        given = {"bind": ["127.0.0.1:0"], "pidfile": PIDFILE, "worker_class": "gthread"} | settings
        lines = [f"{name} = {value!r}\n" for name, value in given.items() if name not in self.UNKNOWN]
        (self.folder / self.config).write_text("".join(lines))

    @property
    def url(self) -> str:
        return self.said(r"Listening at: (http://[\d.]+:\d+)")[0]

    def upgrade(self, workers: int) -> None:
        # docs.gunicorn.org, "Upgrading to a new binary on the fly": USR2, wait for the new workers, then TERM to the
        # old arbiter.
        before, imported = self.arbiter, len(self.diary("imported"))
        self.kill(signal.SIGUSR2)
        wait_for(lambda: len(self.diary("imported")) >= imported + workers, f"the new workers\n{self.text}")
        self.kill(signal.SIGTERM, before)
        wait_for(lambda: before not in self.processes(), "the old arbiter to leave")
        wait_for((self.folder / PIDFILE).exists, "the pidfile of the new arbiter")


SERVERS: dict[str, Callable[..., Loaded]] = {"pronghorn": Pronghorn, "gunicorn": Gunicorn}


def parent_of(pid: int) -> int:
    """Its parent; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return repr(value) if isinstance(value, (int, float)) else f'"{value}"'
