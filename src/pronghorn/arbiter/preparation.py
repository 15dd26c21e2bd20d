"""Prepares the next generation in a child process, so that nothing it waits for can hold up the arbiter.

A Python file of settings is somebody's program and may wait, loop or exit; host names are asked for in the network;
files may lie where nothing answers. The child does all of it at its own risk: reads the settings, opens the new
listeners and, to see whether it can, the access log. What it sends back are the settings as data and the listeners as
descriptors (unix(7), SCM_RIGHTS), in one message. It has no time limit of its own: the arbiter's decisions end it.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from pronghorn.arbiter.generation import NO_HOOKS, Generation
from pronghorn.arbiter.hooks import at_most
from pronghorn.arbiter.listeners import Listener, close_listeners
from pronghorn.engine.linux import set_parent_death_signal, set_process_name
from pronghorn.errors import StartError
from pronghorn.linux import receive_descriptors
from pronghorn.observe import log as observe_log
from pronghorn.observe.stream import flush_outputs
from pronghorn.options import Settings
from pronghorn.worker.boot import ARBITER_SIGNALS
from pronghorn.worker.exits import Exit
from pronghorn.worker.handed import Configuration
from pronghorn.worker.hooks import Hooks
from pronghorn.worker.privileges import masked

LONGEST_ANSWER = 1 << 20
"""Bytes; more than the kernel passes in one message."""

MOST_DESCRIPTORS = 253
"""What one message can carry (SCM_MAX_FD)."""


class Opened(msgspec.Struct, frozen=True):
    """A listener as data.

    Arguments:
        held: its place among those the arbiter holds; None: it is new, and its descriptor the message's next one. The
            address would not do, as a name may stand for several.
    """

    text: str
    held: int | None = None
    path: str = ""
    inode: tuple[int, int] | None = None


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """All is open. `hooked`: there are hooks, which do not travel."""

    settings: Settings
    listeners: tuple[Opened, ...]
    hooked: bool


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Something is wrong with the settings, or cannot be opened; `why` is one line."""

    why: str


_decoder: msgspec.msgpack.Decoder[Prepared | Refused] = msgspec.msgpack.Decoder(Prepared | Refused)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where settings and hooks come from, to be read anew. Both raise StartError if they cannot be used.

    Arguments:
        settings: the settings, and whether there are hooks. Only for the child: it may wait for ever.
        hooks: the hooks alone, for the arbiter itself, once the child has shown that the sources can be read.
    """

    settings: Callable[[], tuple[Settings, bool]]
    hooks: Callable[[], Hooks]


@dataclass(frozen=True, slots=True)
class Task:
    """What the child works with.

    Arguments:
        sources: where the settings come from.
        folder: where the command was started; a preloaded application may have gone elsewhere.
        held: listeners that the arbiter holds open.
        foreign: descriptors of the arbiter that the child must not keep.
        limit: seconds that the arbiter itself may read hooks.
    """

    sources: Sources
    folder: Path
    held: Sequence[Listener]
    foreign: Sequence[int]
    limit: float


class Preparation:
    """The arbiter's end of one child that prepares generation `number`; `asked`: a HUP asked for it."""

    def __init__(self, number: int, task: Task, *, asked: bool = True) -> None:
        """Forks the child. OSError if the kernel refuses."""
        self.number = number
        self.asked = asked
        self.answered = False
        self._held = task.held
        self._task = task
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        # As around the fork of a worker: the arbiter's handlers must not run in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, ARBITER_SIGNALS)
        arbiter = os.getpid()
        try:
            flush_outputs()
            self.pid = os.fork()
            if self.pid == 0:
                self._socket.close()
                _live(task, arbiter, theirs)
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)

    def __repr__(self) -> str:
        return f"<Preparation of generation {self.number} in process {self.pid}>"

    def fileno(self) -> int:
        """Readable when there is an answer, or none will come."""
        return self._socket.fileno()

    def result(self) -> Generation | None:
        """The generation once it is prepared, None as long as there is no answer. StartError says what is wrong."""
        answer, listeners = self._receive()
        if answer is None:
            return None
        self.answered = True
        if isinstance(answer, Refused):
            raise StartError(answer.why)
        try:
            hooks = self._hooks() if answer.hooked else NO_HOOKS
            generation = Generation.with_listeners(answer.settings, listeners, hooks)
            try:
                generation.give()
            except StartError:
                if generation.access is not None:
                    generation.access.sink.close()
                raise
        except StartError:
            self._give_back(listeners)
            raise
        return generation

    def _hooks(self) -> Hooks:
        """The hooks, read in this process; they are functions, and no data."""
        late = "it takes longer than boot_timeout when the arbiter reads it for its hooks"
        try:
            with contextlib.chdir(self._task.folder), at_most(self._task.limit, late):
                return self._task.sources.hooks()
        except StartError as error:
            raise StartError("; ".join(str(error).splitlines())) from error
        except TimeoutError as error:
            raise StartError(str(error)) from error

    def close(self) -> None:
        """Closes the arbiter's end, with what may have been sent meanwhile and is not wanted any more."""
        if not self.answered:
            self._give_back(self._receive()[1])
        self._socket.close()

    def _receive(self) -> tuple[Prepared | Refused | None, list[Listener]]:
        try:
            data, descriptors = receive_descriptors(self._socket, LONGEST_ANSWER, MOST_DESCRIPTORS)
        except BlockingIOError:
            return None, []
        if not data:
            return None, []
        answer = _decoder.decode(data)
        opened = answer.listeners if isinstance(answer, Prepared) else ()
        return answer, [self._listener(one, descriptors) for one in opened]

    def _listener(self, opened: Opened, descriptors: list[int]) -> Listener:
        if opened.held is None:
            return Listener(opened.text, socket.socket(fileno=descriptors.pop(0)), opened.path, opened.inode)
        return self._held[opened.held]

    def _give_back(self, listeners: Iterable[Listener]) -> None:
        close_listeners(listener for listener in listeners if listener not in self._held)


def _live(task: Task, arbiter: int, pipe: socket.socket) -> NoReturn:
    """The child's whole life. Never returns: below on the stack is the arbiter."""
    status: int = Exit.START
    try:
        _leave_the_arbiter(task, arbiter)
        _send(pipe, *_prepare(task))
        status = Exit.OK
    finally:
        flush_outputs()
        os._exit(status)


def _leave_the_arbiter(task: Task, arbiter: int) -> None:
    set_parent_death_signal(signal.SIGKILL)
    set_process_name("pronghorn-conf")
    signal.set_wakeup_fd(-1)
    for number in ARBITER_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    # Sent to the whole group they are the arbiter's business; what it decides about this process it does by KILL.
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
    if os.getppid() != arbiter:
        os._exit(Exit.OK)
    for fd in task.foreign:
        os.close(fd)
    # Only their addresses are of interest here. As long as this process held one that the arbiter closes, it would go
    # on to take connections.
    for listener in task.held:
        listener.socket.close()
    with contextlib.suppress(OSError, ValueError):
        # ABRT, which says that it takes too long, leaves the stack of what it waits for.
        faulthandler.enable(sys.stderr, all_threads=True)


def _prepare(task: Task) -> tuple[Prepared | Refused, list[Listener]]:
    try:
        os.chdir(task.folder)
        settings, hooked = task.sources.settings()
        # Before the listeners: whatever fails or hangs here leaves no socket file behind.
        with masked(settings.identity.umask):
            observe_log.setup(settings.logs, Configuration(settings))
        generation = Generation.prepare(settings, task.held)
    except StartError as error:
        return Refused("; ".join(str(error).splitlines())), []
    except BaseException as error:  # noqa: BLE001 - the top of a process; the arbiter logs it
        traceback.print_exc()
        return Refused(f"{type(error).__name__}: {error}"), []
    places = {listener.socket: place for place, listener in enumerate(task.held)}
    opened = [Opened(one.text, places.get(one.socket), one.path, one.inode) for one in generation.listeners]
    fresh = [listener for listener in generation.listeners if listener.socket not in places]
    return Prepared(generation.settings, tuple(opened), hooked), fresh


def _send(pipe: socket.socket, answer: Prepared | Refused, fresh: list[Listener]) -> None:
    try:
        socket.send_fds(pipe, [msgspec.msgpack.encode(answer)], [listener.socket.fileno() for listener in fresh])
    except (OSError, UnicodeEncodeError) as error:
        close_listeners(fresh)
        # More than 253 new addresses, or settings beyond what a message can hold: some 200 KB. Or a path that is no
        # text.
        why = error.strerror if isinstance(error, OSError) else f"{error.object!r} is not UTF-8"
        refused = Refused(f"the settings cannot be handed over: {why}")
        socket.send_fds(pipe, [msgspec.msgpack.encode(refused)], [])
