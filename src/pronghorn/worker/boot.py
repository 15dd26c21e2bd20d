"""From the fork to the first connection: what a new worker does before it serves."""

import contextlib
import gc
import os
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pronghorn.apps.load import check_threads, enter_surroundings, load
from pronghorn.engine.leash import end_with
from pronghorn.engine.linux import set_parent_death_signal, set_process_name
from pronghorn.engine.loop import Engine
from pronghorn.engine.scoreboard import Slot
from pronghorn.errors import StartError
from pronghorn.observe import log
from pronghorn.observe.access import AccessLog
from pronghorn.options import Settings
from pronghorn.worker import classes, privileges, report
from pronghorn.worker.build import build_engine
from pronghorn.worker.exits import Exit
from pronghorn.worker.handed import Configuration
from pronghorn.worker.hooks import Life
from pronghorn.worker.recycling import Allowance
from pronghorn.worker.serve import ORPHAN_END, Serving, reopen_logs, serve

if TYPE_CHECKING:
    from pronghorn.worker.develop import Development

DEFAULT_SWITCH_INTERVAL = 0.005
"""Seconds; CPython's own (sys.setswitchinterval)."""

SWITCH_INTERVAL = 0.002
"""Seconds; shorter ones make threads that compute trade places more often than they gain by it."""

ARBITER_SIGNALS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1,
    signal.SIGUSR2, signal.SIGCHLD, signal.SIGWINCH,
)  # fmt: skip
"""What the arbiter handles or blocks around a fork; a worker starts with none of its handlers."""


@dataclass(frozen=True, slots=True)
class Birth:
    """All that the arbiter hands to a new worker.

    Arguments:
        row: its row of the scoreboard.
        access: the access log, opened by the arbiter; None if there is none.
        app: the application if it was preloaded.
        life: its hooks.
        report_to: write end of the pipe to the arbiter.
        leash: read end of a pipe that only the arbiter holds open: its end is the arbiter's death.
        foreign: descriptors of the arbiter that mean nothing here.
    """

    row: Slot
    generation: int
    arbiter: int
    settings: Settings
    listeners: Sequence[socket.socket]
    access: AccessLog | None
    app: Callable[..., Any] | None
    life: Life
    report_to: int
    leash: int
    foreign: Sequence[int]


def run(birth: Birth) -> int:
    """The whole life of a worker; its exit status. Called in the child, with the arbiter's signals still blocked."""
    try:
        return _run(birth)
    finally:
        birth.life.end()


def _run(birth: Birth) -> int:
    born = time.monotonic()
    pending = _leave_the_arbiter(birth)
    try:
        birth.life.begin()
        _give_up_privileges(birth)
        log.setup(birth.settings.logs, Configuration(birth.settings), anew=False)
        birth.life.watch_for_abort()
        log.dump_stacks_here()
        development = _development(birth)
        app, greenlets = _load(birth, development)
        if development is None or not development.broken:
            app = birth.life.load(app)
        engine = build_engine(
            app, birth.listeners, birth.settings, birth.row, birth.access, life=birth.life, greenlets=greenlets
        )
        if pending:
            # USR1 came meanwhile: the first request already belongs into the new files.
            pending.clear()
            reopen_logs(birth.access)
        # Not before the application is loaded: one that forks while it is imported must find one thread.
        end_with(birth.leash, ORPHAN_END)
        _start(engine, birth.settings, born, asks=not (development and development.broken))
        if development:
            development.watch()
    except StartError as error:
        report.send(birth.report_to, report.Failed(str(error), error.trace))
        return error.exit_status
    return serve(
        Serving(
            engine=engine,
            row=birth.row,
            access=birth.access,
            life=birth.life,
            arbiter=birth.arbiter,
            leash=birth.leash,
            report_to=birth.report_to,
            graceful_timeout=birth.settings.fleet.graceful_timeout,
            allowance=Allowance.of(birth.settings.fleet, time.monotonic()),
            selector=_selector(greenlets=greenlets),
            development=development,
        ),
        pending,
    )


def _give_up_privileges(birth: Birth) -> None:
    account = privileges.account_of(birth.settings.identity)
    if account is not None:
        privileges.drop(account)
        # A change of user clears it (prctl(2)), and the arbiter may have died meanwhile.
        set_parent_death_signal(signal.SIGTERM)
        if os.getppid() != birth.arbiter:
            os._exit(Exit.OK)
        privileges.check_folders(birth.settings)


def _start(engine: Engine, settings: Settings, born: float, *, asks: bool) -> None:
    """Starts the engine, which does not accept yet, and waits with `ready_path` until the application can be used."""
    engine.start(accepting=False)
    fleet = settings.fleet
    if fleet.ready_path is None or not asks:
        return
    # Imported by who needs it: it brings the standard library's HTTP client along.
    from pronghorn.worker.ready import wait_until_ready  # noqa: PLC0415

    # Before the arbiter's own patience ends: the worker can say why it is not ready.
    until = born + max(fleet.boot_timeout - 1, fleet.boot_timeout / 2)
    wait_until_ready(engine, fleet.ready_path, until, settings.network.protocol)


def _selector(*, greenlets: bool) -> selectors.BaseSelector:
    """What the main thread waits with; greenlets run in it meanwhile."""
    if not greenlets:
        return selectors.DefaultSelector()
    from pronghorn.worker.greenlets import Selector  # noqa: PLC0415 - only where it is asked for

    waiting: selectors.BaseSelector = Selector()
    return waiting


def _shorten_switches() -> None:
    """Has the interpreter pass its lock on sooner, unless the application has chosen an interval.

    A worker under load lets go of the lock only when another thread has asked for it for one interval. With the
    default of 5 ms a thread of the application that wakes every 50 ms loses a tenth of its turns.
    """
    if sys.getswitchinterval() == DEFAULT_SWITCH_INTERVAL:
        sys.setswitchinterval(SWITCH_INTERVAL)


def _development(birth: Birth) -> "Development | None":
    """The development mode, if the settings ask for it."""
    options = birth.settings.development
    if not (options.reload or options.debug):
        return None
    # No other server pays for it.
    from pronghorn.worker.develop import Development  # noqa: PLC0415

    return Development(options, birth.report_to)


def _load(birth: Birth, development: "Development | None") -> tuple[Callable[..., Any], bool]:
    """The application, and whether its requests run in greenlets."""
    spec = birth.settings.app.app
    if birth.app is None:
        enter_surroundings(birth.settings.app)
    greenlets = classes.prepare(birth.settings.fleet.worker_class).greenlets
    if birth.app is None:
        find = development.load if development else load
        return find(spec, greenlets=greenlets), greenlets
    # It was imported for the worker class that the arbiter was started with; a reload may have chosen another.
    check_threads(spec, greenlets=greenlets)
    return birth.app, greenlets


def _leave_the_arbiter(birth: Birth) -> set[int]:
    """Gives up everything inherited that is the arbiter's: its signal handlers, descriptors, randomness.

    Returns a set in which USR1 is noted from now on: an import may take long, and the logs are open already.
    """
    # TERM, not KILL: the worker may still finish what runs. The kernel looks at the forking *thread*; the arbiter has
    # only one.
    set_parent_death_signal(signal.SIGTERM)
    set_process_name(birth.settings.fleet.proc_name or "pronghorn-work")
    signal.set_wakeup_fd(-1)
    birth.row.claim(os.getpid(), birth.generation)
    for number in ARBITER_SIGNALS:
        # While the application is imported nothing can be lost: the default action ends the worker at once.
        signal.signal(number, signal.SIG_DFL)
    # A hangup or a worker count is the arbiter's business, also when a terminal or `killall` sends it to everybody.
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGWINCH):
        signal.signal(number, signal.SIG_IGN)
    pending: set[int] = set()
    signal.signal(signal.SIGUSR1, lambda number, _: pending.add(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
    if os.getppid() != birth.arbiter:
        # The arbiter died between the fork and the prctl: no signal will ever come.
        os._exit(Exit.OK)
    for fd in birth.foreign:
        with contextlib.suppress(OSError):
            os.close(fd)
    # Without it all workers would draw the same random numbers: the arbiter's state was copied into each.
    random.seed()
    _shorten_switches()
    gc.enable()
    return pending
