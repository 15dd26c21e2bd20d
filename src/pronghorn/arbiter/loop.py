"""The arbiter's main loop: turns signals, pipes, exits and time into events, and has the decisions carried out.

It sleeps in one selector until something happens: a signal, a worker's report, or the moment that `next_wakeup` names.
"""

import contextlib
import gc
import logging
import os
import selectors
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

from pronghorn.apps.load import enter_surroundings, load
from pronghorn.arbiter.banner import banner
from pronghorn.arbiter.decide import decide, next_wakeup
from pronghorn.arbiter.events import Event, Grow, Hangup, Interrupt, Reopen, Shrink, Started, Terminate, Tick, Upgrade
from pronghorn.arbiter.fleet import Fleet
from pronghorn.arbiter.generation import Generation
from pronghorn.arbiter.listeners import close_listeners
from pronghorn.arbiter.perform import Means, Performer
from pronghorn.arbiter.pidfile import Pidfile
from pronghorn.observe import log as observe_log
from pronghorn.options import Settings
from pronghorn.worker import classes, native

SLOTS_PER_WORKER = 4
"""Processes that may exist at once for each worker wanted: itself, its replacement, and drainers of earlier reloads."""

FEWEST_SLOTS = 32

SIGNALS: dict[int, tuple[Callable[[], Event], bool]] = {
    # Stops stand first: after a Ctrl-C, which the workers get as well, none of them must be replaced.
    signal.SIGINT: (Interrupt, False),
    signal.SIGQUIT: (Interrupt, False),
    signal.SIGTERM: (Terminate, False),
    signal.SIGHUP: (Hangup, False),
    signal.SIGTTIN: (Grow, True),
    signal.SIGTTOU: (Shrink, True),
    signal.SIGUSR1: (Reopen, False),
    signal.SIGUSR2: (Upgrade, False),
}
"""What each signal means, and whether two of them mean it twice."""

log = logging.getLogger("pronghorn.error")


def run(settings: Settings, reload_settings: Callable[[], Settings]) -> int:
    """Serves until a signal ends it; the exit status (docs/signals.md). Must be called on the main thread.

    Arguments:
        reload_settings: called for each SIGHUP, in a process of its own; StartError keeps the settings that serve.

    Raises:
        StartError: the server cannot start: port in use, pidfile held, log not writable, preloaded application broken.
    """
    folder = Path.cwd()
    observe_log.setup(settings.logs)
    with contextlib.ExitStack() as cleanup:
        if settings.fleet.pidfile:
            pidfile = Pidfile(settings.fleet.pidfile)
            pidfile.write()
            cleanup.callback(pidfile.remove)
        first = Generation.prepare(settings)
        cleanup.callback(close_listeners, first.listeners)
        for line in banner(settings, first.listeners):
            log.info("%s", line)
        app = _preload(settings) if settings.app.preload_app else None
        native.unpatch()
        selector = cleanup.enter_context(selectors.EpollSelector())
        signals = cleanup.enter_context(_Signals())
        policy = first.policy
        slots = max(FEWEST_SLOTS, SLOTS_PER_WORKER * policy.size)
        foreign = (signals.reader, signals.writer, selector.fileno())
        performer = Performer(first, Means(app, reload_settings, folder, selector, foreign, slots))
        cleanup.callback(performer.close)
        # What is alive now is shared with the workers for good: a collection that only touched the objects' headers
        # would copy every page of them in each worker.
        gc.collect()
        gc.freeze()
        cleanup.callback(gc.unfreeze)
        fleet = Fleet(policy, policy.size, slots, preloaded=app is not None)
        return _Arbiter(fleet, performer, selector, signals).run()


def _preload(settings: Settings) -> Callable[..., Any]:
    enter_surroundings(settings.app)
    classes.prepare(settings.fleet.worker_class)
    return load(settings.app.app)


class _Signals:
    """Counts signals as they arrive, and wakes the selector; nothing is done in a handler."""

    def __enter__(self) -> Self:
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.counts: Counter[int] = Counter()
        self._wakeup_before = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in (*SIGNALS, signal.SIGCHLD)}
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.reader)
        os.close(self.writer)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.counts[number] += 1

    def take(self) -> Counter[int]:
        """What arrived since the last call. A full pipe loses wake-ups, never signals."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.reader, 4096):
                pass
        taken, self.counts = self.counts, Counter()
        return taken


class _Arbiter:
    """The fleet as it is known, and the loop around it."""

    def __init__(self, fleet: Fleet, performer: Performer, selector: selectors.BaseSelector, signals: _Signals) -> None:
        self.fleet = fleet
        self._performer = performer
        self._selector = selector
        self._signals = signals
        selector.register(signals.reader, selectors.EVENT_READ, None)

    def run(self) -> int:
        """Until Leave; its status."""
        self._handle(Started())
        while self._performer.status is None:
            for event in self._wait():
                self._handle(event)
        return self._performer.status

    def _wait(self) -> Iterator[Event]:
        now = time.monotonic()
        due = next_wakeup(self.fleet, now)
        ready = self._selector.select(None if due is None else max(0.0, due - now))
        counts = self._signals.take()
        for number, (event, repeats) in SIGNALS.items():
            for _ in range(counts[number] if repeats else min(1, counts[number])):
                yield event()
        for key, _ in ready:
            if key.data is not None:
                yield from self._performer.read_reports(key.data)
        if counts[signal.SIGCHLD]:
            yield from self._performer.reap()
        due = next_wakeup(self.fleet, time.monotonic())
        if due is not None and due <= time.monotonic():
            yield Tick(self._performer.heartbeats())

    def _handle(self, event: Event) -> None:
        """Decides and acts, also on what the actions bring about."""
        waiting = deque([event])
        while waiting:
            self.fleet, actions = decide(self.fleet, waiting.popleft(), time.monotonic())
            for action in actions:
                waiting.extend(self._performer.perform(action))

    def __repr__(self) -> str:
        fleet = self.fleet
        return f"<arbiter {fleet.phase.value}, generation {fleet.generation}, {len(fleet.workers)} workers>"
