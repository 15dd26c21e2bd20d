"""Carries out what `decide` orders: the only file of the arbiter that forks, signals and reaps processes."""

import contextlib
import logging
import os
import selectors
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pronghorn.arbiter.actions import (
    Action,
    Adopt,
    CloseListeners,
    Discard,
    FleetAction,
    Leave,
    Level,
    LoadSettings,
    Order,
    ReopenLogs,
    Say,
    Send,
    Spawn,
    StopLoading,
    UpgradeAction,
    Withdraw,
)  # fmt: skip
from pronghorn.arbiter.banner import served
from pronghorn.arbiter.deaths import describe
from pronghorn.arbiter.events import (
    Event,
    Exited,
    FilesChanged,
    SettingsLoaded,
    SettingsRejected,
    Spawned,
    SpawnFailed,
    WorkerBroken,
    WorkerFailed,
    WorkerReady,
    WorkerTired,
)  # fmt: skip
from pronghorn.arbiter.generation import Generation
from pronghorn.arbiter.hooks import ArbiterHooks
from pronghorn.arbiter.lineage import Lineage
from pronghorn.arbiter.listeners import close_listeners
from pronghorn.arbiter.ownership import give_logs
from pronghorn.arbiter.preparation import Preparation, Sources, Task
from pronghorn.engine.scoreboard import Scoreboard
from pronghorn.errors import HookError, StartError
from pronghorn.linux import dead_child, open_pipe
from pronghorn.observe import log as observe_log
from pronghorn.observe.stream import flush_outputs
from pronghorn.worker import report
from pronghorn.worker.boot import ARBITER_SIGNALS, Birth, run
from pronghorn.worker.exits import Exit
from pronghorn.worker.handed import Configuration
from pronghorn.worker.hooks import Life, tell
from pronghorn.worker.privileges import masked

SIGNALS = {
    Order.DRAIN: signal.SIGTERM,
    Order.QUIT: signal.SIGINT,
    Order.ABORT: signal.SIGABRT,
    Order.KILL: signal.SIGKILL,
    Order.REOPEN: signal.SIGUSR1,
}

CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGKILL)
"""Deaths that nobody but the request may explain; a worker that was told to go has said what it cut."""

log = logging.getLogger("pronghorn.error")


@dataclass(frozen=True, slots=True)
class Means:
    """What the performer works with.

    Arguments:
        app: the application if it was preloaded.
        sources: what a reload reads anew.
        folder: where the command was started.
        selector: told of every child's pipe; the key's data is the pid.
        foreign: descriptors of the arbiter's loop, closed in every child.
        slots: how many workers may exist at once.
        lineage: the arbiters of an upgrade.
        hooks: those that the arbiter calls.
    """

    app: Callable[..., Any] | None
    sources: Sources
    folder: Path
    selector: selectors.BaseSelector
    foreign: tuple[int, ...]
    slots: int
    lineage: Lineage
    hooks: ArbiterHooks


@dataclass(frozen=True, slots=True)
class Child:
    """The arbiter's end of one worker."""

    slot: int
    pipe: int
    reader: report.Reader = field(default_factory=report.Reader)


class Performer:
    """The arbiter's hands: its children, their pipes, and what each generation needs."""

    def __init__(self, first: Generation, means: Means) -> None:
        self.status: int | None = None
        self.trouble = ""
        self._means = means
        self._selector = means.selector
        self._generations = {1: first}
        self._listeners = first.listeners
        self._preparing: Preparation | None = None
        self._abandoned: set[int] = set()
        self._children: dict[int, Child] = {}
        self._described: set[int] = set()
        self._board = Scoreboard(means.slots)
        # Only the arbiter keeps the writing end, so its death is an end of file in every worker.
        self._leash, self._leash_held = open_pipe(waits=True)

    def perform(self, action: Action) -> list[Event]:
        """Does one thing; what came of it."""
        if isinstance(action, UpgradeAction):
            return self._means.lineage.perform(action, self._listeners)
        return self._perform(action)

    def _perform(self, action: FleetAction | Say | Leave) -> list[Event]:
        match action:
            case Spawn():
                return [self._spawn(action)]
            case Send(pid, order):
                self._send(pid, order)
            case LoadSettings(generation, asked):
                return self._load_settings(generation, asked=asked)
            case StopLoading(order):
                self._stop_loading(order)
            case Withdraw():
                self._board.serving = False
            case Adopt(generation):
                self._adopt(generation)
            case Discard(generation):
                self._discard(generation)
            case CloseListeners():
                self._keep(set())
            case ReopenLogs():
                self._reopen_logs()
            case Say(level, text):
                self._say(level, text)
            case Leave(status):
                self.status = status
        return []

    def heartbeats(self) -> dict[int, float]:
        """When each worker last showed life, by pid."""
        return {pid: self._board.slot(child.slot).heartbeat for pid, child in self._children.items()}

    def serves(self, generation: int) -> None:
        """The first worker is ready, of this generation."""
        log.info("%s", served(self._generations[generation].settings))

    def renew_hooks(self) -> None:
        """Nobody waits for a stop: each hook has its whole time again."""
        self._means.hooks.renew()

    def resized(self, before: int, wanted: int) -> None:
        """Another number of workers is wanted."""
        self._means.hooks.resize(before, wanted)

    def read_reports(self, pid: int) -> Iterator[Event]:
        """What a child's pipe, or that of another arbiter, holds now."""
        if self._means.lineage.knows(pid):
            yield from self._means.lineage.read(pid)
            return
        if self._preparing is not None and self._preparing.pid == pid:
            yield from self._hear_of(self._preparing)
            return
        child = self._children.get(pid)
        if child is None:
            return
        while True:
            try:
                data = os.read(child.pipe, 65536)
            except BlockingIOError:
                return
            if not data:
                # Its end came, or it closed the pipe; its exit is told by SIGCHLD.
                self._unwatch(child.pipe)
                return
            for said in child.reader.feed(data):
                yield _event_of(pid, said)

    def reap(self) -> Iterator[Event]:
        """The children that ended.

        Asks for each by its pid: one SIGCHLD may stand for many, and a preloaded application may have children of its
        own, whose exits are not ours to take.
        """
        for pid in list(self._children):
            code = _ended(pid)
            if code is not None:
                yield from self._bury(pid, code)
        yield from self._reap_preparations()
        for event in self._means.lineage.reap(self._listeners):
            # The successor may have had another user, as a discarded generation.
            self._give_again()
            yield event
        if os.getpid() == 1:
            _reap_strangers(self._pids())

    def close(self) -> None:
        """Gives back what the arbiter holds outside its process."""
        self._stop_loading(Order.KILL)
        for pid in self._abandoned:
            # The program that called `pronghorn.run` goes on, and would keep them as zombies.
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        self._keep(set())
        for pid in list(self._children):
            self._forget(pid)
        os.close(self._leash)
        os.close(self._leash_held)

    def __repr__(self) -> str:
        return f"<Performer of generations {sorted(self._generations)}, children {sorted(self._children)}>"

    def _bury(self, pid: int, code: int) -> Iterator[Event]:
        # Its last words first: they say why it ended.
        yield from self.read_reports(pid)
        if os.WIFSIGNALED(code) and os.WTERMSIG(code) in CRASHES:
            self._say_running(pid)
        self._board.slot(self._forget(pid).slot).release()
        self._means.hooks.bury(pid)
        yield _exited(pid, code)

    def _forget(self, pid: int) -> Child:
        child = self._children.pop(pid)
        self._described.discard(pid)
        self._unwatch(child.pipe)
        os.close(child.pipe)
        return child

    def _unwatch(self, pipe: int | Preparation) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)

    def _spawn(self, action: Spawn) -> Event:
        try:
            life = self._means.hooks.bear(self._generations[action.generation])
        except HookError as error:
            tell(error)
            return SpawnFailed(action.slot, str(error), by_hook=True)
        reader, writer = open_pipe(waits=False)
        # Until the child has its own handlers a signal to it would wake the arbiter through the shared descriptor.
        signal.pthread_sigmask(signal.SIG_BLOCK, ARBITER_SIGNALS)
        arbiter = os.getpid()
        try:
            flush_outputs()
            pid = os.fork()
            if pid == 0:
                self._live(action, life, arbiter, reader, writer)
        except OSError as error:
            os.close(reader)
            return SpawnFailed(action.slot, error.strerror or str(error))
        finally:
            os.close(writer)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
        self._children[pid] = Child(action.slot, reader)
        self._selector.register(reader, selectors.EVENT_READ, pid)
        self._means.hooks.born(pid, life)
        return Spawned(action.slot, pid)

    def _live(self, action: Spawn, life: Life, arbiter: int, reader: int, writer: int) -> NoReturn:
        """The child's whole life. Never returns: below on the stack is the arbiter, whose clean-up is not its own."""
        status: int = Exit.START
        try:
            generation = self._generations[action.generation]
            self._means.hooks.serve(generation)
            self._leave_others_to_their_workers(generation)
            pipes = [child.pipe for child in self._children.values()]
            if self._preparing is not None:
                pipes.append(self._preparing.fileno())
            birth = Birth(
                row=self._board.slot(action.slot),
                generation=action.generation,
                arbiter=arbiter,
                settings=generation.settings,
                listeners=[listener.socket for listener in generation.listeners],
                access=generation.access,
                app=self._means.app,
                life=life,
                report_to=writer,
                leash=self._leash,
                foreign=[*self._means.foreign, *self._means.lineage.descriptors, *pipes, reader, self._leash_held],
            )
            status = run(birth)
        except BaseException as error:  # noqa: BLE001 - the top of a process; the arbiter logs it
            report.send(writer, report.Failed(f"{type(error).__name__}: {error}", traceback.format_exc()))
        finally:
            os._exit(status)

    def _leave_others_to_their_workers(self, own: Generation) -> None:
        # Held here as well, a socket that a reload gave up would still take connections that nobody accepts, and a log
        # that was rotated and deleted would still fill the disk.
        for listener in self._listeners:
            if listener not in own.listeners:
                listener.socket.close()
        for other in self._generations.values():
            if other is not own and other.access is not None:
                other.access.sink.close()

    def _say(self, level: Level, text: str) -> None:
        if level is Level.ERROR:
            self.trouble = text
        log.log(getattr(logging, level.name), "%s", text)

    def _say_running(self, pid: int) -> None:
        """What a worker that hangs or has crashed was doing, by what it wrote before it called the application."""
        if pid not in self._children or pid in self._described:
            return
        self._described.add(pid)
        for request in self._board.slot(self._children[pid].slot).running():
            log.error("Worker %d was running %s", pid, request)

    def _send(self, pid: int, order: Order) -> None:
        if order is Order.ABORT:
            self._say_running(pid)
        # A pid stays ours until it is reaped, so it can be gone but never be somebody else's.
        if pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGNALS[order])

    def _load_settings(self, number: int, *, asked: bool) -> list[Event]:
        self._stop_loading(Order.KILL)
        foreign = (*self._means.foreign, *self._means.lineage.descriptors, self._leash_held)
        limit = self._generations[max(self._generations)].settings.fleet.boot_timeout
        task = Task(self._means.sources, self._means.folder, self._listeners, foreign, limit)
        try:
            self._preparing = Preparation(number, task, asked=asked)
        except OSError as error:
            return [SettingsRejected(number, f"no process can be forked to read the settings: {error.strerror}")]
        self._selector.register(self._preparing, selectors.EVENT_READ, self._preparing.pid)
        return []

    def _hear_of(self, preparing: Preparation) -> Iterator[Event]:
        try:
            generation = preparing.result()
        except StartError as error:
            self._end_preparation(preparing)
            yield SettingsRejected(preparing.number, str(error))
            return
        if generation is None:
            # It ended without an answer, and SIGCHLD is on its way: an end of file stays readable.
            self._unwatch(preparing)
            return
        self._generations[preparing.number] = generation
        self._listeners += tuple(one for one in generation.listeners if one not in self._listeners)
        self._end_preparation(preparing)
        try:
            if preparing.asked:
                self._means.hooks.reload(generation)
        except HookError as error:
            tell(error)
            self._discard(preparing.number)
            yield SettingsRejected(preparing.number, str(error))
        else:
            yield SettingsLoaded(preparing.number, generation.policy)

    def _stop_loading(self, order: Order) -> None:
        preparing = self._preparing
        if preparing is None:
            return
        os.kill(preparing.pid, SIGNALS[order])
        if order is Order.KILL:
            self._end_preparation(preparing)

    def _end_preparation(self, preparing: Preparation) -> None:
        """From here on its process only has to be reaped."""
        self._unwatch(preparing)
        preparing.close()
        self._abandoned.add(preparing.pid)
        self._preparing = None
        self._close_unused()

    def _reap_preparations(self) -> Iterator[Event]:
        for pid in list(self._abandoned):
            if _ended(pid) is not None:
                self._abandoned.remove(pid)
        preparing = self._preparing
        code = None if preparing is None else _ended(preparing.pid)
        if preparing is None or code is None:
            return
        yield from self._hear_of(preparing)
        if not preparing.answered:
            self._end_preparation(preparing)
            end = describe(_exited(preparing.pid, code))
            yield SettingsRejected(preparing.number, f"the process that reads the settings {end}")
        self._abandoned.remove(preparing.pid)

    def _discard(self, number: int) -> None:
        if number in self._generations:
            self._keep(set(self._generations) - {number})
            self._give_again()

    def _give_again(self) -> None:
        """Whoever has failed may have had another user: those who go on need their files back."""
        newest = max(self._generations, default=None)
        if newest is None:
            return
        try:
            self._generations[newest].give()
        except StartError as error:
            log.error("%s", error)  # noqa: TRY400 - the line says it all

    def _adopt(self, number: int) -> None:
        self._keep({other for other in self._generations if other >= number})
        settings = self._generations[number].settings
        self._means.hooks.serve(self._generations[number])
        try:
            with masked(settings.identity.umask):
                observe_log.setup(settings.logs, Configuration(settings))
        except StartError as error:
            # Its workers could open it a moment ago; the arbiter stays with the log it has.
            log.error("%s", error)  # noqa: TRY400 - the line says it all
        give_logs(settings, None)

    def _reopen_logs(self) -> None:
        newest = self._generations[max(self._generations)].settings if self._generations else None
        with masked(newest.identity.umask) if newest else contextlib.nullcontext():
            observe_log.reopen()
            for generation in self._generations.values():
                if generation.access is not None:
                    generation.access.reopen()
        for generation in self._generations.values():
            give_logs(generation.settings, generation.access)

    def _keep(self, numbers: set[int]) -> None:
        """Drops all other generations, and what only they need."""
        dropped = [generation for number, generation in self._generations.items() if number not in numbers]
        self._generations = {number: self._generations[number] for number in self._generations if number in numbers}
        self._close_unused()
        for generation in dropped:
            if generation.access is not None:
                generation.access.sink.close()

    def _close_unused(self) -> None:
        if self._preparing is not None:
            return  # It may ask for any of the listeners that were open when it began.
        used = {listener.socket for generation in self._generations.values() for listener in generation.listeners}
        unused = [listener for listener in self._listeners if listener.socket not in used]
        close_listeners(unused, self._means.lineage.spared())
        self._listeners = tuple(listener for listener in self._listeners if listener.socket in used)

    def _pids(self) -> set[int]:
        return {*self._children, *self._abandoned, *([self._preparing.pid] if self._preparing else [])}


def _ended(pid: int) -> int | None:
    """The wait status of a child that ended."""
    try:
        found, code = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return code if found else None


def _exited(pid: int, code: int) -> Exited:
    return Exited(pid, signal=os.WTERMSIG(code)) if os.WIFSIGNALED(code) else Exited(pid, status=os.WEXITSTATUS(code))


def _event_of(pid: int, said: report.Report) -> Event:
    match said:
        case report.Ready():
            return WorkerReady(pid)
        case report.Failed(why, trace):
            return WorkerFailed(pid, why, trace)
        case report.Tired(why):
            return WorkerTired(pid, why)
        case report.Changed(files, state):
            return FilesChanged(pid, tuple(files), state)
        case report.Broken(why, trace):
            return WorkerBroken(pid, why, trace)


def _reap_strangers(ours: set[int]) -> None:
    """As process 1 of a container the arbiter inherits every orphan; unreaped they fill the process table."""
    while True:
        try:
            found = dead_child()
        except ChildProcessError:
            return
        if found is None or found in ours:
            return
        os.waitpid(found, os.WNOHANG)
