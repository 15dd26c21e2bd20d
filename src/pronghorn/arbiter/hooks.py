"""The hooks that the arbiter calls, and `server`, which stands for it in all hooks.

Hooks are functions, so they cannot travel from the process that prepares a reload: once that has shown that the
configuration can be read in time, the arbiter reads the hooks itself. A hook that waits holds the arbiter up, as with
Gunicorn, while the workers serve; but for `boot_timeout` at most, or a stop would never be obeyed. Where one is called
for each worker that has ended, that is the time of all its calls, or the stop would take as many times as long.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from pronghorn.arbiter.generation import Generation
from pronghorn.arbiter.listeners import Listener
from pronghorn.errors import HookError
from pronghorn.options import Settings
from pronghorn.worker import native
from pronghorn.worker.handed import Application, Configuration, Log, Worker
from pronghorn.worker.hooks import Hooks, Life, tell

log = logging.getLogger("pronghorn.error")


class Sock:
    """A listening socket as Gunicorn shows it: with the socket's own methods, and as text an address."""

    def __init__(self, listener: Listener) -> None:
        self.sock = listener.socket
        self.cfg_addr = listener.path or listener.socket.getsockname()
        self._url = listener.url

    def __getattr__(self, name: str) -> Any:
        if name == "sock":
            raise AttributeError(name)
        return getattr(self.sock, name)

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        return f"<listener {self._url}>"


class Server:
    """`server`: the arbiter, as hooks see it. One for its whole life: hooks leave things for one another there."""

    def __init__(self, settings: Settings) -> None:
        self.pid = os.getpid()
        self.log = Log()
        self.num_workers = settings.fleet.workers
        self.worker_age = 0
        self.LISTENERS: list[Sock] = []
        self.WORKERS: dict[int, Worker] = {}
        self.app = Application(settings)
        self.show(settings)

    def show(self, settings: Settings) -> None:
        """Shows the settings of one generation from here on."""
        self.cfg = Configuration(settings)
        self.app.cfg = self.cfg
        self.address = self.cfg.address
        self.timeout = self.cfg.timeout
        self.proc_name = settings.fleet.proc_name or settings.app.app

    def __repr__(self) -> str:
        return f"<arbiter {self.pid}, {len(self.WORKERS)} workers>"


class ArbiterHooks:
    """Calls the arbiter's hooks: those of the generation that serves, unless another is named."""

    def __init__(self, settings: Settings, hooks: Hooks) -> None:
        self.server = Server(settings)
        self._settings, self._hooks = settings, hooks
        self._taken: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<arbiter's {self._hooks}>"

    def __contains__(self, name: str) -> bool:
        return name in self._hooks

    def begin(self) -> None:
        """The command has begun, and nothing is open. HookError if one raises."""
        self.call("nworkers_changed", self.server.num_workers, None)
        self.call("on_starting")

    def open(self, listeners: Sequence[Listener]) -> None:
        """These are listened on."""
        self.server.LISTENERS = [Sock(listener) for listener in listeners]

    def serve(self, generation: Generation) -> None:
        """A generation serves from here on."""
        self._settings, self._hooks = generation.settings, generation.hooks
        self.server.show(self._settings)
        self.open(generation.listeners)

    def call(self, name: str, *arguments: object) -> None:
        """Calls a hook of the serving generation that may take as long as it likes. HookError if it raises."""
        _call(self._hooks, name, self.server, *arguments)

    def before_exec(self) -> None:
        """This process becomes the next arbiter. HookError if `pre_exec` raises."""
        self.call("pre_exec")

    def reload(self, generation: Generation) -> None:
        """A new generation is prepared. HookError if its `on_reload` raises."""
        self._call_for(generation, "on_reload")

    def resize(self, old: int, new: int) -> None:
        """Another number of workers is wanted."""
        self.server.num_workers = new
        self._try_call("nworkers_changed", new, old)

    def bear(self, generation: Generation) -> Life:
        """A worker of a generation is about to be forked. HookError if `pre_fork` raises."""
        self.server.worker_age += 1
        sockets = [Sock(listener) for listener in generation.listeners] if generation.hooks else []
        worker = Worker(self.server.worker_age, self.server.pid, generation.settings, sockets, self.server.log)
        self._call_for(generation, "pre_fork", worker)
        return Life(generation.hooks, self.server, worker)

    def born(self, pid: int, life: Life) -> None:
        """It was forked."""
        life.worker.pid = pid
        self.server.WORKERS[pid] = life.worker

    def bury(self, pid: int) -> None:
        """It is gone."""
        worker = self.server.WORKERS.pop(pid, None)
        if worker is not None:
            self._try_call("child_exit", worker)

    def renew(self) -> None:
        """Each hook has its whole time again: nobody waits for a stop."""
        self._taken.clear()

    def end(self) -> None:
        """All is over."""
        self._try_call("on_exit")

    def _call_for(self, generation: Generation, name: str, *arguments: object) -> None:
        """Calls a hook of a generation that may not serve yet."""
        self.server.show(generation.settings)
        try:
            self._call_in_time(self._limit, generation.hooks, name, *arguments)
        finally:
            self.server.show(self._settings)

    def _try_call(self, name: str, *arguments: object) -> None:
        """Calls a hook of the serving generation, in what is left of its time; if it raises, the log says so."""
        if name not in self._hooks:
            return
        left = self._limit - self._taken.get(name, 0.0)
        if left <= 0:
            log.error("%s is not called: its calls have taken %g s (boot_timeout) already", name, self._limit)
            return
        began = time.monotonic()
        try:
            self._call_in_time(left, self._hooks, name, *arguments)
        except HookError as error:
            tell(error)
        finally:
            self._taken[name] = self._taken.get(name, 0.0) + time.monotonic() - began

    @property
    def _limit(self) -> float:
        return self._settings.fleet.boot_timeout

    def _call_in_time(self, limit: float, hooks: Hooks, name: str, *arguments: object) -> None:
        if name not in hooks:
            return
        late = f"it takes longer than {self._limit:g} s (boot_timeout)"
        if limit < self._limit:
            late += " with its calls before"
        try:
            with at_most(limit, late):
                _call(hooks, name, self.server, *arguments)
        except TimeoutError as error:
            # In the moment after its last line.
            raise HookError(f"{name}: {error}", "") from error


def _call(hooks: Hooks, name: str, *arguments: object) -> None:
    try:
        hooks.call(name, *arguments)
    finally:
        # One that has gevent patch the standard library does so for the workers.
        native.unpatch()


@contextlib.contextmanager
def at_most(seconds: float, late: str) -> Iterator[None]:
    """After so long TimeoutError is raised in the block, or at its end.

    It is raised where Python code runs: a C function that waits is interrupted by the signal, one that computes or
    holds the interpreter lock is not.

    Arguments:
        late: what the error says.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before)
        raise TimeoutError(late)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
