"""Signals to the arbiter: what each means, how they are counted, and how a stop ends what takes long at the start."""

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Self

from pronghorn.arbiter.events import Event, Grow, Hangup, Interrupt, Pause, Reopen, Shrink, Terminate, Upgrade
from pronghorn.linux import open_pipe

SIGNALS: dict[int, tuple[Callable[[], Event], bool]] = {
    # Stops stand first: after a Ctrl-C, which the workers get as well, none of them must be replaced.
    signal.SIGINT: (Interrupt, False),
    signal.SIGQUIT: (Interrupt, False),
    signal.SIGTERM: (Terminate, False),
    # Sent at once, USR2, WINCH and HUP mean what they mean in this order.
    signal.SIGUSR2: (Upgrade, False),
    signal.SIGWINCH: (Pause, False),
    signal.SIGHUP: (Hangup, False),
    signal.SIGTTIN: (Grow, True),
    signal.SIGTTOU: (Shrink, True),
    signal.SIGUSR1: (Reopen, False),
}
"""What each signal means, and whether two of them mean it twice."""

STOPS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def has_terminal() -> bool:
    """Whether this process belongs to a terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class Stopped(Exception):  # noqa: N818 - it is what was asked for
    """A stop has come before anything was served; the message says during what."""


class Signals:
    """Counts signals as they arrive, and wakes the selector; nothing else is done in a handler."""

    def __init__(self, *, ends: bool) -> None:
        self._ends = ends

    def __enter__(self) -> Self:
        self.reader, self.writer = open_pipe(waits=False)
        self.counts: Counter[int] = Counter()
        self._interrupts = False
        self._wakeup_before = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        handled = [*SIGNALS, signal.SIGCHLD]
        if has_terminal():
            # A terminal sends WINCH whenever its window changes its size.
            handled.remove(signal.SIGWINCH)
        self._before = {number: signal.signal(number, self._note) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            # A stop that is repeated while the interpreter winds up must not turn its exit status into a death.
            signal.signal(number, signal.SIG_IGN if self._ends and number in SIGNALS else handler)
        os.close(self.reader)
        os.close(self.writer)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.counts[number] += 1
        if self._interrupts and number in STOPS:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def interrupting(self, doing: str) -> Iterator[None]:
        """Within the block a stop raises KeyboardInterrupt, and Stopped outside: what is done there may take for ever.

        Arguments:
            doing: what is done, as a clause about the past.
        """
        self._interrupts = True
        try:
            self._interrupt_if_stopped()
            yield
        except KeyboardInterrupt:
            raise Stopped(doing) from None
        finally:
            self._interrupts = False

    def _interrupt_if_stopped(self) -> None:
        if any(self.counts[number] for number in STOPS):
            raise KeyboardInterrupt

    def take(self) -> Counter[int]:
        """What arrived since the last call. A full pipe loses wake-ups, never signals."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.reader, 4096):
                pass
        taken, self.counts = self.counts, Counter()
        return taken
