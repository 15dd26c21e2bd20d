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

from pronghorn.arbiter.generation import Generation
from pronghorn.arbiter.listeners import Listener, close_listeners
from pronghorn.engine.linux import set_parent_death_signal, set_process_name
from pronghorn.errors import StartError
from pronghorn.options import Settings
from pronghorn.worker.boot import ARBITER_SIGNALS
from pronghorn.worker.exits import Exit

LONGEST_ANSWER = 1 << 20
"""Bytes; more than the kernel passes in one message."""

MOST_DESCRIPTORS = 253
"""What one message can carry (SCM_MAX_FD)."""


class Opened(msgspec.Struct, frozen=True):
    """A listener as data. `fresh`: its descriptor is the next one of the message; else the arbiter holds it."""

    text: str
    fresh: bool
    path: str = ""
    inode: tuple[int, int] | None = None


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """All is open."""

    settings: Settings
    listeners: tuple[Opened, ...]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Something is wrong with the settings, or cannot be opened; `why` is one line."""

    why: str


_decoder: msgspec.msgpack.Decoder[Prepared | Refused] = msgspec.msgpack.Decoder(Prepared | Refused)


@dataclass(frozen=True, slots=True)
class Task:
    """What the child works with.

    Arguments:
        read_settings: reads the settings anew; StartError if they cannot be used.
        folder: where the command was started; a preloaded application may have gone elsewhere.
        held: listeners that the arbiter holds open.
        foreign: descriptors of the arbiter that the child must not keep.
    """

    read_settings: Callable[[], Settings]
    folder: Path
    held: Sequence[Listener]
    foreign: Sequence[int]


class Preparation:
    """The arbiter's end of one child that prepares generation `number`."""

    def __init__(self, number: int, task: Task) -> None:
        """Forks the child. OSError if the kernel refuses."""
        self.number = number
        self.answered = False
        self._held = task.held
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        # As around the fork of a worker: the arbiter's handlers must not run in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, ARBITER_SIGNALS)
        arbiter = os.getpid()
        try:
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
            return Generation.with_listeners(answer.settings, listeners)
        except StartError:
            self._give_back(listeners)
            raise

    def close(self) -> None:
        """Closes the arbiter's end, with what may have been sent meanwhile and is not wanted any more."""
        if not self.answered:
            self._give_back(self._receive()[1])
        self._socket.close()

    def _receive(self) -> tuple[Prepared | Refused | None, list[Listener]]:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._socket, LONGEST_ANSWER, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None, []
        if not data:
            return None, []
        answer = _decoder.decode(data)
        opened = answer.listeners if isinstance(answer, Prepared) else ()
        return answer, [self._listener(one, descriptors) for one in opened]

    def _listener(self, opened: Opened, descriptors: list[int]) -> Listener:
        if opened.fresh:
            return Listener(opened.text, socket.socket(fileno=descriptors.pop(0)), opened.path, opened.inode)
        return next(listener for listener in self._held if _data_of(listener, fresh=False) == opened)

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
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
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


def _prepare(task: Task) -> tuple[Prepared | Refused, list[socket.socket]]:
    try:
        os.chdir(task.folder)
        generation = Generation.prepare(task.read_settings(), task.held)
    except StartError as error:
        return Refused("; ".join(str(error).splitlines())), []
    except BaseException as error:  # noqa: BLE001 - the top of a process; the arbiter logs it
        traceback.print_exc()
        return Refused(f"{type(error).__name__}: {error}"), []
    opened = [_data_of(listener, fresh=listener not in task.held) for listener in generation.listeners]
    fresh = [listener.socket for listener in generation.listeners if listener not in task.held]
    return Prepared(generation.settings, tuple(opened)), fresh


def _data_of(listener: Listener, *, fresh: bool) -> Opened:
    return Opened(listener.text, fresh, listener.path, listener.inode)


def _send(pipe: socket.socket, answer: Prepared | Refused, fresh: list[socket.socket]) -> None:
    try:
        socket.send_fds(pipe, [msgspec.msgpack.encode(answer)], [sock.fileno() for sock in fresh])
    except OSError as error:
        # More than 253 new addresses, or settings beyond what a message can hold: some 200 KB.
        refused = Refused(f"the settings cannot be handed over: {error.strerror}")
        socket.send_fds(pipe, [msgspec.msgpack.encode(refused)], [])
