"""Calling hooks: the functions of one generation, and the moments of a worker's life at which they are called."""

import faulthandler
import logging
import os
import signal
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from pronghorn.errors import HookError
from pronghorn.settings import Hook
from pronghorn.worker.handed import Worker

log = logging.getLogger("pronghorn.error")


class Hooks:
    """The hooks of one generation, by name."""

    def __init__(self, found: Iterable[Hook] = ()) -> None:
        self._found = {hook.name: hook for hook in found}

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __bool__(self) -> bool:
        return bool(self._found)

    def __repr__(self) -> str:
        return f"<Hooks {', '.join(self._found)}>"

    def function(self, name: str) -> Callable[..., Any] | None:
        """The function itself, if there is one."""
        hook = self._found.get(name)
        return None if hook is None else hook.function

    def call(self, name: str, *arguments: object) -> None:
        """Calls a hook, if there is one. HookError if it raises."""
        hook = self._found.get(name)
        if hook is None:
            return
        try:
            hook.function(*arguments)
        # sys.exit in a hook would end a process without a word, and the arbiter with all its workers.
        except (Exception, SystemExit) as error:
            trace = "".join(traceback.format_exception(error.with_traceback(_own(error))))
            raise HookError(f"{hook.origin}: {name} raised {type(error).__name__}: {error}", trace) from error

    def try_call(self, name: str, *arguments: object) -> None:
        """Calls a hook, if there is one; if it raises, the log says so."""
        try:
            self.call(name, *arguments)
        except HookError as error:
            tell(error)


def _own(error: BaseException) -> Any:
    """The traceback from the hook on."""
    return error.__traceback__ and error.__traceback__.tb_next


def tell(error: HookError) -> None:
    """Writes to the log what a hook has raised."""
    log.error("%s\n%s", error, error.trace.rstrip())


class Life:
    """The hooks of one worker, and what they are handed.

    Arguments:
        server: what stands for the arbiter; a copy, since the fork.
    """

    def __init__(self, hooks: Hooks, server: object, worker: Worker) -> None:
        self.hooks = hooks
        self.worker = worker
        self._server = server
        self._begun = False

    def __repr__(self) -> str:
        return f"<Life of {self.worker} with {self.hooks}>"

    def begin(self) -> None:
        """The process exists. HookError if `post_fork` raises."""
        self._begun = True
        self.worker.pid = os.getpid()
        self.hooks.call("post_fork", self._server, self.worker)

    def load(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """The application is imported; what is to be served, as a hook may wrap it. HookError if it raises."""
        self.worker.take(app)
        self.hooks.call("post_worker_init", self.worker)
        self.worker.booted = True
        wrapped: Callable[..., Any] = self.worker.wsgi
        return wrapped

    def interrupt(self) -> None:
        """INT or QUIT has come, or the worker leaves because a file has changed."""
        self.worker.alive = False
        self.hooks.try_call("worker_int", self.worker)

    def end(self) -> None:
        """The worker is about to leave. Again it does nothing."""
        if self._begun:
            self._begun = False
            self.worker.alive = False
            self.hooks.try_call("worker_exit", self._server, self.worker)

    def watch_for_abort(self) -> None:
        """Has ABRT call `worker_abort`, if there is one, where the main thread can still run.

        Called before the log has ABRT leave the stacks: that handler then does so first, without the interpreter, and
        raises the signal again for the one that was there before.
        """
        if "worker_abort" in self.hooks:
            # Where PYTHONFAULTHANDLER is set, it is the other way round.
            faulthandler.disable()
            signal.signal(signal.SIGABRT, self._abort)

    def _abort(self, number: int, _frame: FrameType | None) -> None:
        self.worker.aborted = True
        self.worker.alive = False
        self.hooks.try_call("worker_abort", self.worker)
        self.end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
