"""An arbiter among its relatives: the old one that started it, the new one that it starts, and what they share.

Carries out what `upgrade.py` decides. What two arbiters share are files with a name: the pidfile and the sockets'. The
last one that uses such a file removes it; how the last one is found is told in `succession.py`.
"""

import contextlib
import os
import selectors
import signal
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

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
from pronghorn.arbiter.succession import Ready, Start, Successor
from pronghorn.arbiter.surroundings import Surroundings
from pronghorn.errors import StartError

SIGNALS = {Order.QUIT: signal.SIGINT, Order.KILL: signal.SIGKILL}


class Lineage:
    """The predecessor, the successor and the pidfile of this arbiter."""

    def __init__(
        self,
        surroundings: Surroundings,
        pidfile: Pidfile | None,
        selector: selectors.BaseSelector,
        before_exec: Callable[[], None],
    ) -> None:
        """The selector is told of the links; the key's data is the relative's pid.

        Arguments:
            before_exec: called in the process that becomes the successor.
        """
        self._surroundings = surroundings
        self._predecessor = surroundings.predecessor
        self._successor: Successor | None = None
        self._pidfile = pidfile
        self._selector = selector
        self._before_exec = before_exec
        if self._predecessor is not None:
            selector.register(self._predecessor, selectors.EVENT_READ, self._predecessor.pid)

    def __repr__(self) -> str:
        return f"<Lineage {self._predecessor} -> {self._successor}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, StartError):
            self.failed("; ".join(str(error).splitlines()))
        self.close()

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
                    self._predecessor.ready()
            case Promote():
                self._promote(listeners)
        return []

    @property
    def predecessor(self) -> int:
        """The pid of the old arbiter as long as it lives; 0 if there is none."""
        return 0 if self._predecessor is None else self._predecessor.pid

    @property
    def descriptors(self) -> list[int]:
        """What no worker may keep: each end of a link must close with its arbiter."""
        return [link.fileno() for link in (self._surroundings.predecessor, self._successor) if link is not None]

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

    def reap(self, listeners: Sequence[Listener]) -> Iterator[Event]:
        """The successor's end, its last words first.

        Arguments:
            listeners: those that serve now.
        """
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
        self._lose_successor(listeners)
        if os.WIFSIGNALED(code):
            yield SuccessorEnded(pid, signal=os.WTERMSIG(code))
        else:
            yield SuccessorEnded(pid, status=os.WEXITSTATUS(code))

    def spared(self) -> frozenset[str]:
        """The socket files that a living relative may use."""
        relative = self._successor or self._predecessor
        return frozenset() if relative is None else relative.files

    def failed(self, why: str) -> None:
        """Tells the predecessor why this arbiter does not serve."""
        if self._predecessor is not None:
            self._predecessor.failed(why)

    def close(self) -> None:
        """Leaves the relatives, and removes the pidfile if no successor can take it over."""
        for relative in (self._predecessor, self._successor):
            if relative is not None:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(relative)
        # Also one that has left long ago: the link stays open until then.
        if self._surroundings.predecessor is not None:
            self._surroundings.predecessor.part()
        alone = self._successor is None or self._successor.part()
        if self._pidfile is not None and alone:
            self._pidfile.remove()

    def _start(self, listeners: Sequence[Listener]) -> Event:
        try:
            start = Start(self._surroundings.command, self._surroundings.passed, self._before_exec)
            self._successor = Successor(start, listeners, self._pidfile)
        except OSError as error:
            return SuccessorFailed(f"no process can be forked: {error.strerror}")
        self._selector.register(self._successor, selectors.EVENT_READ, self._successor.pid)
        return SuccessorStarted(self._successor.pid)

    def _promote(self, listeners: Sequence[Listener]) -> None:
        """The predecessor has left, or is about to."""
        if self._pidfile is not None:
            self._pidfile.promote()
        if self._predecessor is not None:
            self._predecessor.bury(listeners)
            # Its link is not closed: one that is still leaving would take that for the end of this process.
            self._predecessor = None

    def _lose_successor(self, listeners: Sequence[Listener]) -> None:
        if self._successor is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._successor)
            self._successor.bury(listeners)
            self._successor.close()
        self._successor = None
