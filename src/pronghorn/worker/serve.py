"""The worker's main thread: waits for signals, for the arbiter's death and for the engine, and runs no request.

So a signal is served whatever the application does: the loop and the application run on the engine's threads.
"""

import atexit
import contextlib
import logging
import os
import selectors
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import FrameType
from typing import TYPE_CHECKING, Any

from pronghorn.engine import scoreboard
from pronghorn.engine.loop import Engine
from pronghorn.engine.scoreboard import Slot
from pronghorn.linux import open_pipe
from pronghorn.observe import log as observe_log
from pronghorn.observe import metrics
from pronghorn.observe.access import AccessLog
from pronghorn.observe.stream import flush_outputs
from pronghorn.worker import report
from pronghorn.worker.exits import Exit
from pronghorn.worker.hooks import Life
from pronghorn.worker.recycling import Allowance
from pronghorn.worker.remains import report_remains

if TYPE_CHECKING:
    from pronghorn.worker.develop import Development

BEAT = 1.0
"""Seconds between two heartbeats; between two looks at what the worker has used up, and at what statsd is told."""

ORPHAN_DRAIN = 1.3
"""Seconds an orphan may take to finish its requests: a supervisor that restarts the arbiter needs the port back."""

ORPHAN_END = 1.7
"""Seconds after which an orphan ends whatever it is doing, exit functions of the application included."""

MOST_NAMED = 10
"""Requests that a line about what is left names one by one."""

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)

log = logging.getLogger("pronghorn.error")


@dataclass(frozen=True, slots=True)
class Serving:
    """What the main thread watches and what it may do. Times in seconds."""

    engine: Engine
    row: Slot
    access: AccessLog | None
    life: Life
    arbiter: int
    leash: int
    report_to: int
    graceful_timeout: float
    allowance: Allowance
    selector: selectors.BaseSelector
    development: "Development | None"


class Mode(Enum):
    """What the worker is doing."""

    SERVING = "serving"
    DRAINING = "draining"
    STOPPING = "stopping"


@dataclass(slots=True)
class Watch:
    """The state of the main thread's wait."""

    pending: set[int]
    """Signals that arrived and were not acted on; the handler does nothing but add to it."""
    mode: Mode = Mode.SERVING
    stop_at: float | None = None
    """Monotonic second at which draining turns into stopping."""
    look_at: float = 0.0
    """Monotonic second at which the allowance is looked at again."""
    tired: bool = False
    orphaned: bool = False
    incidents: metrics.Growth = field(default_factory=lambda: metrics.Growth("pronghorn.incidents."))


def serve(serving: Serving, pending: set[int]) -> int:
    """Accepts and serves until told to leave or orphaned; the exit status.

    Nothing is accepted before the handlers are there: until then a signal ends the process, and whom it serves with it.

    Arguments:
        pending: signals that arrived and were not acted on; more may join them until the handlers here take over.
    """
    watch = Watch(pending)
    with serving.selector as selector, _signals_into(watch) as wakeup:
        selector.register(wakeup, selectors.EVENT_READ, lambda: _empty(wakeup))
        selector.register(serving.leash, selectors.EVENT_READ, lambda: _on_leash(serving, watch, selector))
        selector.register(serving.engine.fileno(), selectors.EVENT_READ, serving.engine.acknowledge)
        serving.engine.accept()
        serving.row.beat()
        serving.row.state = scoreboard.READY
        report.send(serving.report_to, report.Ready())
        while serving.engine.state != "stopped":
            for key, _ in selector.select(_patience(watch)):
                key.data()
            serving.row.beat()
            _step(serving, watch)
            watch.incidents.show(serving.row.incidents)
    _say("leaves behind, inside the application,", serving.engine.lost())
    watch.incidents.show(serving.row.incidents)
    serving.life.end()
    if serving.development is None:  # Werkzeug's debugger keeps the frames it shows, and those their request
        report_remains(serving.engine)
    _run_exit_functions()
    return Exit.OK


def _step(serving: Serving, watch: Watch) -> None:
    """Acts on what the wait brought."""
    if os.getppid() != serving.arbiter and not watch.orphaned:
        _orphan(serving, watch)
    while watch.pending:
        number = watch.pending.pop()
        if number == signal.SIGUSR1:
            reopen_logs(serving.access)
        elif number == signal.SIGTERM:
            _drain(serving, watch, serving.graceful_timeout)
        elif watch.mode is not Mode.STOPPING:
            serving.life.interrupt()
            _say("stops at once and cuts off", serving.engine.running())
            _stop(serving, watch)
    if not watch.tired and watch.mode is Mode.SERVING and (why := _fatigue(serving, watch)):
        watch.tired = True
        report.send(serving.report_to, report.Tired(why))
    if watch.mode is Mode.DRAINING and watch.stop_at is not None and time.monotonic() >= watch.stop_at:
        _say("has no more time to drain and cuts off", serving.engine.running())
        _stop(serving, watch)


def _say(what: str, requests: Sequence[str]) -> None:
    """One line about what the worker does with these requests, if there are any."""
    if requests:
        more = f"; and {len(requests) - MOST_NAMED} more" if len(requests) > MOST_NAMED else ""
        named = "; ".join(requests[:MOST_NAMED]) + more
        log.warning("Worker %d %s %d: %s", os.getpid(), what, len(requests), named)


def _fatigue(serving: Serving, watch: Watch) -> str:
    """Why the worker wants to be replaced; empty if it does not."""
    if serving.engine.wants_recycling:
        return serving.engine.recycling_reason or "it has served long enough"
    if not serving.life.worker.alive:
        return "a hook has set worker.alive to False"
    now = time.monotonic()
    if now < watch.look_at:
        return ""
    watch.look_at = now + BEAT
    return serving.allowance.exceeded(now)


def reopen_logs(access: AccessLog | None) -> None:
    """Opens the error log and the access log anew."""
    observe_log.reopen()
    if access is not None:
        access.reopen()


def _patience(watch: Watch) -> float:
    if watch.pending:
        return 0.0
    if watch.stop_at is None:
        return BEAT
    return min(BEAT, max(0.0, watch.stop_at - time.monotonic()))


def _drain(serving: Serving, watch: Watch, limit: float) -> None:
    """Finishes what runs, for at most `limit` seconds; a second order may only shorten the time."""
    if watch.mode is Mode.STOPPING:
        return
    until = time.monotonic() + limit
    watch.stop_at = until if watch.stop_at is None else min(watch.stop_at, until)
    if watch.mode is Mode.SERVING:
        watch.mode = Mode.DRAINING
        serving.life.worker.alive = False
        outdated = serving.development is not None and serving.development.leave()
        serving.row.state = scoreboard.DRAINING
        serving.engine.drain()
        if outdated:
            # Gunicorn's reloader calls it too, as soon as it sees a change: its worker ends there and then.
            serving.life.interrupt()


def _stop(serving: Serving, watch: Watch) -> None:
    if watch.mode is not Mode.STOPPING:
        watch.mode, watch.stop_at = Mode.STOPPING, None
        serving.engine.stop()


def _on_leash(serving: Serving, watch: Watch, selector: selectors.BaseSelector) -> None:
    # Nothing is ever written to it: readable means its end, and an end stays readable.
    selector.unregister(serving.leash)
    _orphan(serving, watch)


def _orphan(serving: Serving, watch: Watch) -> None:
    if not watch.orphaned:
        watch.orphaned = True
        log.error("The arbiter (pid %d) is gone: worker %d finishes what runs and leaves", serving.arbiter, os.getpid())
    _drain(serving, watch, ORPHAN_DRAIN)


@contextlib.contextmanager
def _signals_into(watch: Watch) -> Any:
    """Handlers that only note the signal, and the descriptor that wakes the wait."""
    reader, writer = open_pipe(waits=False)

    def note(number: int, _frame: FrameType | None) -> None:
        watch.pending.add(number)

    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in HANDLED:
        signal.signal(number, note)
    try:
        yield reader
    finally:
        # The process ends: a late signal must not find a handler whose pipe is closed, nor kill a clean exit.
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            signal.signal(number, signal.SIG_IGN)
        os.close(reader)
        os.close(writer)


def _empty(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 4096)


def _run_exit_functions() -> None:
    """Runs what the application registered with atexit: the worker ends by os._exit, which would skip it.

    An ordinary exit would unwind through the arbiter's frames below the fork and wait for threads that may never end.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name for it
    flush_outputs()
