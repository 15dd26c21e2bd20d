"""Carries out what `decide` orders: the only file of the arbiter that forks, signals and reaps processes."""

import contextlib
import logging
import os
import selectors
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pronghorn.arbiter.actions import (
    Action,
    Adopt,
    CloseListeners,
    Discard,
    Leave,
    LoadSettings,
    Order,
    ReopenLogs,
    Say,
    Send,
    Spawn,
)  # fmt: skip
from pronghorn.arbiter.events import (
    Event,
    Exited,
    SettingsLoaded,
    SettingsRejected,
    Spawned,
    SpawnFailed,
    WorkerFailed,
    WorkerReady,
    WorkerTired,
)  # fmt: skip
from pronghorn.arbiter.fleet import Policy
from pronghorn.arbiter.listeners import Listener, close_listeners, open_listeners
from pronghorn.engine.scoreboard import Scoreboard
from pronghorn.errors import StartError
from pronghorn.observe import log as observe_log
from pronghorn.observe.access import AccessLog
from pronghorn.options import Settings
from pronghorn.worker import report
from pronghorn.worker.boot import ARBITER_SIGNALS, Birth, run
from pronghorn.worker.exits import Exit
from pronghorn.worker.pulse import Pulse

SIGNALS = {
    Order.DRAIN: signal.SIGTERM,
    Order.QUIT: signal.SIGINT,
    Order.ABORT: signal.SIGABRT,
    Order.KILL: signal.SIGKILL,
    Order.REOPEN: signal.SIGUSR1,
}

log = logging.getLogger("pronghorn.error")


def policy_of(settings: Settings) -> Policy:
    """What the arbiter's decisions depend on."""
    fleet = settings.fleet
    return Policy(fleet.workers, fleet.graceful_timeout, fleet.boot_timeout, settings.engine.timeout)


@dataclass(frozen=True, slots=True)
class Generation:
    """What the workers of one generation are made from."""

    settings: Settings
    listeners: tuple[Listener, ...]
    access: AccessLog | None

    @classmethod
    def prepare(cls, settings: Settings, held: Sequence[Listener] = ()) -> "Generation":
        """Opens what the settings name; StartError if that cannot be done.

        Arguments:
            held: listeners that are open already and are used again where the addresses are the same.
        """
        logs = settings.logs
        network = settings.network
        listeners = open_listeners(network.bind, network.backlog, held, reuse_port=network.reuse_port)
        try:
            # Opened here and inherited: one clear line now instead of one from each worker.
            access = AccessLog(logs.access_log_format, logs.accesslog) if logs.accesslog else None
        except StartError:
            close_listeners(listener for listener in listeners if listener not in held)
            raise
        return cls(settings, tuple(listeners), access)


@dataclass(frozen=True, slots=True)
class Means:
    """What the performer works with.

    Arguments:
        app: the application if it was preloaded.
        reload_settings: reads the settings anew; StartError if they cannot be used.
        selector: told of every worker's pipe; the key's data is the pid.
        foreign: descriptors of the arbiter's loop, closed in every worker.
        slots: how many workers may exist at once.
    """

    app: Callable[..., Any] | None
    reload_settings: Callable[[], Settings]
    selector: selectors.BaseSelector
    foreign: tuple[int, ...]
    slots: int


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
        self._means = means
        self._selector = means.selector
        self._generations = {1: first}
        self._children: dict[int, Child] = {}
        self._board = Scoreboard(means.slots)
        self._pulse = Pulse(means.slots)
        # Only the arbiter keeps the writing end, so its death is an end of file in every worker.
        self._leash, self._leash_held = os.pipe2(os.O_CLOEXEC)

    def perform(self, action: Action) -> list[Event]:
        """Does one thing; what came of it."""
        match action:
            case Spawn():
                return [self._spawn(action)]
            case Send(pid, order):
                self._send(pid, SIGNALS[order])
            case LoadSettings(generation):
                return [self._load_settings(generation)]
            case Adopt(generation):
                self._adopt(generation)
            case Discard(generation):
                self._keep(set(self._generations) - {generation})
            case CloseListeners():
                self._keep(set())
            case ReopenLogs():
                self._reopen_logs()
            case Say(level, text):
                log.log(getattr(logging, level.name), "%s", text)
            case Leave(status):
                self.status = status
        return []

    def heartbeats(self) -> dict[int, float]:
        """When each worker last showed life, by pid."""
        return {pid: self._pulse.last(child.slot) for pid, child in self._children.items()}

    def read_reports(self, pid: int) -> Iterator[Event]:
        """What a worker's pipe holds now."""
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
                with contextlib.suppress(KeyError):
                    self._selector.unregister(child.pipe)
                return
            for said in child.reader.feed(data):
                yield _event_of(pid, said)

    def reap(self) -> Iterator[Event]:
        """The workers that ended.

        Asks for each by its pid: one SIGCHLD may stand for many, and a preloaded application may have children of its
        own, whose exits are not ours to take.
        """
        for pid in list(self._children):
            try:
                found, code = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                found, code = pid, 0
            if found:
                yield from self._bury(pid, code)
        if os.getpid() == 1:
            _reap_strangers(set(self._children))

    def close(self) -> None:
        """Gives back what the arbiter holds outside its process."""
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
        self._board.slot(self._forget(pid).slot).release()
        if os.WIFSIGNALED(code):
            yield Exited(pid, signal=os.WTERMSIG(code))
        else:
            yield Exited(pid, status=os.WEXITSTATUS(code))

    def _forget(self, pid: int) -> Child:
        child = self._children.pop(pid)
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.pipe)
        os.close(child.pipe)
        return child

    def _spawn(self, action: Spawn) -> Event:
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Until the child has its own handlers a signal to it would wake the arbiter through the shared descriptor.
        signal.pthread_sigmask(signal.SIG_BLOCK, ARBITER_SIGNALS)
        arbiter = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                self._live(action, arbiter, reader, writer)
        except OSError as error:
            os.close(reader)
            return SpawnFailed(action.slot, error.strerror or str(error))
        finally:
            os.close(writer)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
        self._children[pid] = Child(action.slot, reader)
        self._selector.register(reader, selectors.EVENT_READ, pid)
        return Spawned(action.slot, pid)

    def _live(self, action: Spawn, arbiter: int, reader: int, writer: int) -> NoReturn:
        """The child's whole life. Never returns: below on the stack is the arbiter, whose clean-up is not its own."""
        status: int = Exit.START
        try:
            generation = self._generations[action.generation]
            self._leave_others_to_their_workers(generation)
            pipes = [child.pipe for child in self._children.values()]
            birth = Birth(
                row=self._board.slot(action.slot),
                generation=action.generation,
                arbiter=arbiter,
                settings=generation.settings,
                listeners=[listener.socket for listener in generation.listeners],
                access=generation.access,
                app=self._means.app,
                report_to=writer,
                leash=self._leash,
                foreign=[*self._means.foreign, *pipes, reader, self._leash_held],
                pulse=self._pulse,
            )
            status = run(birth)
        except BaseException as error:  # noqa: BLE001 - the top of a process; the arbiter logs it
            report.send(writer, report.Failed(f"{type(error).__name__}: {error}", traceback.format_exc()))
        finally:
            os._exit(status)

    def _leave_others_to_their_workers(self, own: Generation) -> None:
        # Held here as well, a socket that a reload gave up would still take connections that nobody accepts, and a log
        # that was rotated and deleted would still fill the disk.
        for other in self._generations.values():
            if other is own:
                continue
            for listener in other.listeners:
                if listener not in own.listeners:
                    listener.socket.close()
            if other.access is not None:
                other.access.sink.close()

    def _send(self, pid: int, number: int) -> None:
        # A pid stays ours until it is reaped, so it can be gone but never be somebody else's.
        if pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _load_settings(self, number: int) -> Event:
        held = [listener for generation in self._generations.values() for listener in generation.listeners]
        try:
            generation = Generation.prepare(self._means.reload_settings(), held)
        except StartError as error:
            return SettingsRejected("; ".join(str(error).splitlines()))
        self._generations[number] = generation
        return SettingsLoaded(number, policy_of(generation.settings))

    def _adopt(self, number: int) -> None:
        self._keep({other for other in self._generations if other >= number})
        try:
            observe_log.setup(self._generations[number].settings.logs)
        except StartError as error:
            # Its workers could open it a moment ago; the arbiter stays with the log it has.
            log.error("%s", error)  # noqa: TRY400 - the line says it all

    def _reopen_logs(self) -> None:
        observe_log.reopen()
        for generation in self._generations.values():
            if generation.access is not None:
                generation.access.reopen()

    def _keep(self, numbers: set[int]) -> None:
        """Drops all other generations, and closes the listeners that none of the kept ones has."""
        dropped = [generation for number, generation in self._generations.items() if number not in numbers]
        self._generations = {number: self._generations[number] for number in self._generations if number in numbers}
        kept = {listener.socket for generation in self._generations.values() for listener in generation.listeners}
        gone = {listener.socket: listener for generation in dropped for listener in generation.listeners}
        close_listeners(listener for sock, listener in gone.items() if sock not in kept)
        for generation in dropped:
            if generation.access is not None:
                generation.access.sink.close()


def _event_of(pid: int, said: report.Report) -> Event:
    match said:
        case report.Ready():
            return WorkerReady(pid)
        case report.Failed(why, trace):
            return WorkerFailed(pid, why, trace)
        case report.Tired(why):
            return WorkerTired(pid, why)


def _reap_strangers(ours: set[int]) -> None:
    """As process 1 of a container the arbiter inherits every orphan; unreaped they fill the process table."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in ours:
            return
        os.waitpid(found.si_pid, os.WNOHANG)
