"""What hooks are handed: objects with the attributes of Gunicorn's that hooks use.

All of them take further attributes: hooks leave things for one another there.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from pronghorn.observe import log
from pronghorn.options import Settings
from pronghorn.options.address import FdAddress, TcpAddress, UnixAddress, parse_address
from pronghorn.options.table import TABLE
from pronghorn.settings.given import setting_name
from pronghorn.worker.privileges import account_of

BOOTING = "[booting]"
"""The `pid` of a worker that is not forked yet, as with Gunicorn."""


class Configuration:
    """`cfg`: the settings, by our names and by Gunicorn's. One that only Gunicorn has is None."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        ours = setting_name(name)
        if ours is None:
            raise AttributeError(f"cfg has no {name}: there is no such setting")
        if ours not in TABLE:
            return None
        value = getattr(getattr(self._settings, TABLE[ours].subject), ours)
        if isinstance(value, tuple):
            return list(value)
        # Gunicorn's seconds are whole numbers, and are printed as such.
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def __repr__(self) -> str:
        return f"<cfg of {self._settings.app.app}>"

    @property
    def address(self) -> list[tuple[str, int] | str | int]:
        """Where the server listens: (host, port), a path, or a descriptor."""
        return [_address(text) for text in self._settings.network.bind]

    @property
    def worker_class_str(self) -> str:
        """The name of the worker class."""
        return self._settings.fleet.worker_class

    @property
    def is_ssl(self) -> bool:
        """Whether connections are encrypted."""
        return False

    @property
    def uid(self) -> int:
        """The user that workers become, or are."""
        account = account_of(self._settings.identity)
        return os.geteuid() if account is None else account.uid

    @property
    def gid(self) -> int:
        """The group that workers become, or have."""
        account = account_of(self._settings.identity)
        return os.getegid() if account is None else account.gid

    user = uid
    group = gid

    @property
    def proc_name(self) -> str:
        """The name of the processes, or else of the application."""
        return self._settings.fleet.proc_name or self._settings.app.app


def _address(text: str) -> tuple[str, int] | str | int:
    match parse_address(text):
        case TcpAddress(host, port):
            return host, port
        case UnixAddress(path):
            return path
        case FdAddress(fd):
            return fd


class Log:
    """`log`: the logger of this process (`observe.logger.Logger`, or `logger_class`); a reload may make another."""

    def __getattr__(self, name: str) -> Any:
        return getattr(log.logger(), name)

    def __repr__(self) -> str:
        return f"<log: {log.logger()!r}>"


class Application:
    """`app`: the application, as far as this process has imported it."""

    def __init__(self, settings: Settings, callable: Callable[..., Any] | None = None) -> None:  # noqa: A002 - the name
        self.cfg = Configuration(settings)
        self.app_uri = settings.app.app
        self.callable = callable

    def wsgi(self) -> Callable[..., Any]:
        """The WSGI callable. RuntimeError where it is not imported, as in an arbiter without `preload_app`."""
        if self.callable is None:
            raise RuntimeError(f"{self.app_uri} is not imported here: only workers do that, unless preload_app is set")
        return self.callable

    def __repr__(self) -> str:
        return f"<application {self.app_uri}>"


class Worker:
    """`worker`: one worker, in itself and, as far as it is known there, in the arbiter.

    Arguments:
        age: which worker of this arbiter it is, from 1.
        sockets: the listening sockets.
    """

    def __init__(self, age: int, ppid: int, settings: Settings, sockets: Sequence[Any], log: Log) -> None:
        self.age = age
        self.pid: int | str = BOOTING
        self.ppid = ppid
        self.cfg = Configuration(settings)
        self.log = log
        self.app = Application(settings)
        self.wsgi: Any = None
        self.sockets = list(sockets)
        self.timeout = self.cfg.timeout
        self.max_requests = self.cfg.max_requests
        self.booted = False
        self.aborted = False
        self.alive = True
        """False asks the worker to finish what runs and to be replaced."""
        self.count: Callable[[], int] | None = None
        """What `nr` asks, where requests are served."""

    @property
    def nr(self) -> int:
        """How many requests it has handled, or begun to; 0 in the arbiter."""
        return 0 if self.count is None else self.count()

    def take(self, app: Callable[..., Any]) -> None:
        """Has the application in it."""
        self.app.callable = self.wsgi = app

    def notify(self) -> None:
        """Does nothing: a worker shows life by itself."""

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"

    __repr__ = __str__
