"""The arbiter's main loop: turns signals, pipes, exits and time into events, and has the decisions carried out.

It sleeps in one selector until something happens: a signal, a worker's report, or the moment that `next_wakeup` names.
"""

import contextlib
import gc
import logging
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pronghorn.apps.load import enter_surroundings, load
from pronghorn.arbiter.banner import banner
from pronghorn.arbiter.command import obstacle
from pronghorn.arbiter.decide import decide, next_wakeup
from pronghorn.arbiter.events import Event, PredecessorGone, Started, SuccessorEnded, Tick
from pronghorn.arbiter.fleet import Fleet, Phase
from pronghorn.arbiter.generation import Generation
from pronghorn.arbiter.hooks import ArbiterHooks
from pronghorn.arbiter.lineage import Lineage
from pronghorn.arbiter.listeners import Listener, close_listeners
from pronghorn.arbiter.notify import Notifier
from pronghorn.arbiter.ownership import root_on_privileged_port
from pronghorn.arbiter.perform import Means, Performer
from pronghorn.arbiter.pidfile import Pidfile
from pronghorn.arbiter.preparation import Sources
from pronghorn.arbiter.signals import SIGNALS, Signals, Stopped
from pronghorn.arbiter.succession import Predecessor
from pronghorn.arbiter.surroundings import Surroundings
from pronghorn.arbiter.upgrade import stands_back
from pronghorn.engine.linux import set_process_name
from pronghorn.linux import open_selector
from pronghorn.observe import log as observe_log
from pronghorn.observe import metrics
from pronghorn.options import Settings
from pronghorn.worker import classes, native
from pronghorn.worker.exits import Exit
from pronghorn.worker.handed import Configuration
from pronghorn.worker.hooks import Hooks
from pronghorn.worker.privileges import account_of, drop, masked

SLOTS_PER_WORKER = 4
"""Processes that may exist at once for each worker wanted: itself, its replacement, and drainers of earlier reloads."""

FEWEST_SLOTS = 32

log = logging.getLogger("pronghorn.error")


def run(settings: Settings, hooks: Hooks, sources: Sources, *, ends: bool = True) -> int:
    """Serves until a signal ends it; the exit status (docs/exit-statuses.md). Must be called on the main thread.

    Arguments:
        sources: read anew for each SIGHUP; StartError keeps the settings and hooks that serve.
        ends: the process ends with the server, so that signals mean nothing any more.

    Raises:
        StartError: the server cannot start: port in use, pidfile held, log not writable, preloaded application broken,
            a hook has raised.
    """
    native.unpatch()
    try:
        return _run(settings, hooks, sources, ends=ends)
    except Stopped as stopped:
        log.info("stopped while %s", stopped)
        return Exit.OK


def _run(settings: Settings, hooks: Hooks, sources: Sources, *, ends: bool) -> int:
    surroundings = Surroundings.find()
    predecessor = surroundings.predecessor
    folder = Path.cwd()
    if settings.fleet.proc_name:
        set_process_name(settings.fleet.proc_name)
    with contextlib.ExitStack() as cleanup:
        # First of all: from here on no signal leaves a pidfile or a socket behind.
        signals = cleanup.enter_context(Signals(ends=ends))
        selector = cleanup.enter_context(open_selector())
        pidfile = _pidfile_of(settings, predecessor)
        # It tells the old arbiter of an upgrade whatever goes wrong from here on.
        called = ArbiterHooks(settings, hooks)
        lineage = cleanup.enter_context(Lineage(surroundings, pidfile, selector, called.before_exec))
        with masked(settings.identity.umask):
            observe_log.setup(settings.logs, Configuration(settings))
            if pidfile is not None:
                pidfile.write()
        with signals.interrupting("the hooks of the start ran"):
            called.begin()
        first = _prepare(settings, predecessor, hooks)
        cleanup.callback(lambda: close_listeners(first.listeners, lineage.spared()))
        first.give()
        _say_what_is_served(settings, first.listeners)
        app = None
        if settings.app.preload_app:
            with signals.interrupting("the application was imported"):
                app = called.server.app.callable = _preload(settings)
        native.unpatch()
        called.serve(first)
        with signals.interrupting("the hook when_ready ran"):
            called.call("when_ready")
        policy = first.policy
        slots = max(FEWEST_SLOTS, SLOTS_PER_WORKER * policy.size)
        foreign = (signals.reader, signals.writer, selector.fileno())
        performer = Performer(first, Means(app, sources, folder, selector, foreign, slots, lineage, called))
        cleanup.callback(performer.close)
        cleanup.enter_context(_shared_heap())
        fleet = Fleet(
            policy,
            policy.size,
            slots,
            preloaded=app is not None,
            irreplaceable=obstacle(),
            predecessor=lineage.predecessor,
        )
        status = _Arbiter(fleet, performer, selector, signals, surroundings.notifier).run()
        if status:
            lineage.failed(performer.trouble)
        called.end()
        return status


def _pidfile_of(settings: Settings, predecessor: Predecessor | None) -> Pidfile | None:
    if not settings.fleet.pidfile:
        return None
    return Pidfile(settings.fleet.pidfile, 0 if predecessor is None else predecessor.pid)


def _prepare(settings: Settings, predecessor: Predecessor | None, hooks: Hooks) -> Generation:
    if predecessor is None:
        return Generation.prepare(settings, hooks=hooks)
    held = predecessor.listeners
    generation = Generation.prepare(settings, held, hooks)
    used = {listener.socket for listener in generation.listeners}
    for listener in held:
        if listener.socket not in used:
            # Its file, if it has one, is still the old arbiter's.
            listener.socket.close()
    return generation


def _say_what_is_served(settings: Settings, listeners: Sequence[Listener]) -> None:
    for line in banner(settings, listeners):
        log.info("%s", line)
    warning = root_on_privileged_port(settings, listeners)
    if warning:
        log.warning("%s", warning)


def _preload(settings: Settings) -> Callable[..., Any]:
    account = account_of(settings.identity)
    if account is not None:
        # What is imported here is the application's code: it must not find itself root, nor a way to become it.
        drop(account)
        log.info("the arbiter is user %d from here on, because it imports the application (preload_app)", account.uid)
    enter_surroundings(settings.app)
    worker_class = classes.prepare(settings.fleet.worker_class)
    return load(settings.app.app, greenlets=worker_class.greenlets)


@contextlib.contextmanager
def _shared_heap() -> Iterator[None]:
    """What is alive now is shared with the workers for good.

    A collection that only touched the objects' headers would copy every page of them in each worker.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Arbiter:
    """The fleet as it is known, and the loop around it."""

    def __init__(
        self,
        fleet: Fleet,
        performer: Performer,
        selector: selectors.BaseSelector,
        signals: Signals,
        notifier: Notifier,
    ) -> None:
        self.fleet = fleet
        self._performer = performer
        self._notifier = notifier
        self._gauge = metrics.Gauge("gunicorn.workers")
        self._selector = selector
        self._signals = signals
        selector.register(signals.reader, selectors.EVENT_READ, None)

    def run(self) -> int:
        """Until Leave; its status."""
        self._handle(Started())
        while self._performer.status is None:
            if self.fleet.phase is Phase.SERVING:
                self._performer.renew_hooks()
            for event in self._wait():
                self._handle(event)
            self._notifier.watch(self.fleet, self._performer.heartbeats, time.monotonic())
        return self._performer.status

    def _wait(self) -> Iterator[Event]:
        now = time.monotonic()
        due = min((at for at in (next_wakeup(self.fleet, now), self._notifier.due()) if at is not None), default=None)
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
            before, proven = self.fleet.size, self.fleet.proven
            self.fleet, actions = decide(self.fleet, waiting.popleft(), time.monotonic())
            if self.fleet.size != before:
                self._performer.resized(before, self.fleet.size)
            for action in actions:
                waiting.extend(self._performer.perform(action))
            # With `reload` a worker is ready, too, that can only say why the application cannot be imported.
            if self.fleet.proven and not proven and self.fleet.explained != self.fleet.generation:
                self._performer.serves(self.fleet.generation)
        self._notifier.update(self.fleet, time.monotonic())
        self._count_workers(event)

    def _count_workers(self, event: Event) -> None:
        """Tells statsd. During an upgrade whoever serves does: the workers that drain are no outage."""
        if isinstance(event, (PredecessorGone, SuccessorEnded)):
            self._gauge.forget()
        if not stands_back(self.fleet):
            self._gauge.show(len(self.fleet.workers))

    def __repr__(self) -> str:
        fleet = self.fleet
        return f"<arbiter {fleet.phase.value}, generation {fleet.generation}, {len(fleet.workers)} workers>"
