"""An arbiter among its relatives: the old one that started it, the new one that it starts, and what they share.

Carries out what `upgrade.py` decides. What two arbiters share are files with a name: the pidfile and the sockets'. The
last one that uses such a file removes it.
"""

import contextlib
import os
import selectors
import signal
from collections.abc import Container, Iterable, Iterator, Sequence

from pronghorn.arbiter.actions import Order, Promote, ReportReady, StartSuccessor, TellSuccessor, UpgradeAction
from pronghorn.arbiter.events import (
    Event,
    PredecessorGone,
    SuccessorEnded,
    SuccessorFailed,
    SuccessorReady,
    SuccessorStarted,
)
from pronghorn.arbiter.listeners import Listener
from pronghorn.arbiter.pidfile import Pidfile
from pronghorn.arbiter.succession import Ready, Successor
from pronghorn.arbiter.surroundings import Surroundings

SIGNALS = {Order.QUIT: signal.SIGINT, Order.KILL: signal.SIGKILL}


class Lineage:
    """The predecessor, the successor and the pidfile of this arbiter."""

    def __init__(self, surroundings: Surroundings, pidfile: Pidfile | None, selector: selectors.BaseSelector) -> None:
        """The selector is told of the links; the key's data is the relative's pid."""
        self._surroundings = surroundings
        self._predecessor = surroundings.predecessor
        self._successor: Successor | None = None
        self._pidfile = pidfile
        self._selector = selector
        if self._predecessor is not None:
            selector.register(self._predecessor, selectors.EVENT_READ, self._predecessor.pid)

    def __repr__(self) -> str:
        return f"<Lineage {self._predecessor} -> {self._successor}>"

    def perform(self, action: UpgradeAction, listeners: Sequence[Listener]) -> list[Event]:
        """Does one thing; what came of it.

        Arguments:
            listeners: those that serve now.
        """
        match action:
            case StartSuccessor():
                return [self._start(listeners)]
            case TellSuccessor(order):
                if self._successor is not None:
                    # Not reaped yet, so the pid is still its own.
                    os.kill(self._successor.pid, SIGNALS[order])
            case ReportReady():
                if self._predecessor is not None:
                    self._predecessor.ready(self._files(listeners))
            case Promote():
                self._lose_predecessor()
                if self._pidfile is not None:
                    self._pidfile.promote()
        return []

    @property
    def predecessor(self) -> int:
        """The pid of the old arbiter as long as it lives; 0 if there is none."""
        return 0 if self._predecessor is None else self._predecessor.pid

    @property
    def descriptors(self) -> list[int]:
        """What no worker may keep: each end of a link must close with its arbiter."""
        return [relative.fileno() for relative in (self._predecessor, self._successor) if relative is not None]

    def knows(self, pid: int) -> bool:
        """Whether this is the pid of a relative."""
        return any(relative and relative.pid == pid for relative in (self._predecessor, self._successor))

    def read(self, pid: int) -> Iterator[Event]:
        """What a relative's link holds."""
        if self._predecessor is not None and self._predecessor.pid == pid:
            # Nothing is ever sent this way: readable means its end.
            self._selector.unregister(self._predecessor)
            yield PredecessorGone()
        elif self._successor is not None and self._successor.pid == pid:
            for message in self._successor.messages():
                yield SuccessorReady() if isinstance(message, Ready) else SuccessorFailed(message.why)
            if self._successor.ended:
                # The end of file would stay readable until the process is reaped.
                with contextlib.suppress(KeyError):
                    self._selector.unregister(self._successor)

    def reap(self) -> Iterator[Event]:
        """The successor's end, its last words first."""
        if self._successor is None:
            return
        pid = self._successor.pid
        try:
            found, code = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            found, code = pid, 0
        if not found:
            return
        yield from self.read(pid)
        self._lose_successor()
        if os.WIFSIGNALED(code):
            yield SuccessorEnded(pid, signal=os.WTERMSIG(code))
        else:
            yield SuccessorEnded(pid, status=os.WEXITSTATUS(code))

    def spared(self) -> Container[str]:
        """The files that a living relative still uses."""
        if self._successor is not None:
            return self._successor.files if self._successor.files is not None else _Everything()
        return () if self._predecessor is None else self._predecessor.files

    def failed(self, why: str) -> None:
        """Tells the predecessor why this arbiter does not serve."""
        if self._predecessor is not None:
            self._predecessor.failed(why)

    def close(self) -> None:
        """Removes the pidfile if nobody else needs it, and closes the links."""
        if self._pidfile is not None and str(self._pidfile.path) not in self.spared():
            self._pidfile.remove()
        self._lose_predecessor()
        self._lose_successor()

    def _start(self, listeners: Sequence[Listener]) -> Event:
        try:
            self._successor = Successor(self._surroundings.command, listeners, self._surroundings.passed)
        except OSError as error:
            return SuccessorFailed(f"no process can be forked: {error.strerror}")
        self._selector.register(self._successor, selectors.EVENT_READ, self._successor.pid)
        return SuccessorStarted(self._successor.pid)

    def _files(self, listeners: Iterable[Listener]) -> list[str]:
        files = [listener.path for listener in listeners if listener.path]
        return files if self._pidfile is None else [*files, str(self._pidfile.destination)]

    def _lose_predecessor(self) -> None:
        if self._predecessor is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._predecessor)
            self._predecessor.close()
        self._predecessor = None

    def _lose_successor(self) -> None:
        if self._successor is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._successor)
            self._successor.close()
        self._successor = None


class _Everything(Container[str]):
    """The files of a new arbiter that has not said yet which ones it will use."""

    def __contains__(self, _: object) -> bool:
        return True
