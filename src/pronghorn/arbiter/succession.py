"""How one arbiter starts another and hands its listeners over: the processes and descriptors behind `upgrade.py`.

The new arbiter is the same command run again: a child of this one, with the listeners open under the same numbers and
a description of them in one environment variable. Between the two there is a socket pair. The new one says through it
that it is ready, or why it cannot be; its end of file tells each of the other's death.

Both may use the files that were handed over: sockets, and the pidfile. While both live neither removes them; whoever
finds the other gone does, except what it uses itself. One that leaves says so first and looks for the other then, so of
two that leave at the same moment one at least finds the other gone.
"""

import contextlib
import logging
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from pronghorn.arbiter.command import Command
from pronghorn.arbiter.listeners import Listener, close_listeners
from pronghorn.arbiter.pidfile import NEW, Pidfile, remove_stale
from pronghorn.errors import HookError, StartError
from pronghorn.linux import dead_child, has_hung_up
from pronghorn.options.inherited import HANDOVER
from pronghorn.worker.boot import ARBITER_SIGNALS
from pronghorn.worker.hooks import tell

LONGEST_MESSAGE = 65536
LONGEST_WHY = 2000
"""Characters of a reason."""

NOT_FOUND = 127
"""The shell's exit status for a command that cannot be run."""

log = logging.getLogger("pronghorn.error")


class Passed(msgspec.Struct, frozen=True):
    """One listener: the address as the old settings wrote it, its descriptor, and a unix socket's file."""

    text: str
    fd: int
    path: str = ""
    inode: tuple[int, int] | None = None


class Handover(msgspec.Struct, frozen=True):
    """What the new arbiter is told. Other versions may add fields; unknown ones are left alone.

    Arguments:
        pid: of the new arbiter. Nobody else who finds the variable in the environment is meant.
        link: its descriptor of the socket pair.
        pidfile: of the old one; empty if it has none.
    """

    pid: int
    predecessor: int
    link: int
    listeners: tuple[Passed, ...]
    pidfile: str = ""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The new arbiter serves."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The new arbiter cannot serve and ends; `why` is one line."""

    why: str


_decoder: msgspec.json.Decoder[Ready | Failed] = msgspec.json.Decoder(Ready | Failed)
_handover: msgspec.json.Decoder[Handover] = msgspec.json.Decoder(Handover)


class Relative:
    """The arbiter at the other end of the link, and the files that were handed over.

    Arguments:
        listeners: those handed over.
        pidfile: where this relative's process id may stand once it is gone.
    """

    def __init__(self, pid: int, link: socket.socket, listeners: Sequence[Listener], pidfile: Path | None) -> None:
        self.pid = pid
        self.listeners = tuple(listeners)
        self._pidfile = pidfile
        self._link = link
        self._link.setblocking(False)  # noqa: FBT003 - the standard library's own signature

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pid}>"

    def fileno(self) -> int:
        """Readable when it has something to say, or is gone."""
        return self._link.fileno()

    @property
    def files(self) -> frozenset[str]:
        """The socket files that this arbiter must not remove as long as the relative lives."""
        return frozenset(listener.path for listener in self.listeners if listener.path)

    def bury(self, used: Iterable[Listener]) -> None:
        """Removes what was handed over, once the relative is gone, but for the listeners that are used here."""
        kept = {listener.path for listener in used}
        close_listeners(one for one in self.listeners if one.path and one.path not in kept)
        if self._pidfile is not None:
            remove_stale(self._pidfile, self.pid)
        # Only once: a number, of a process or of a file, may be given to somebody else.
        self.listeners, self._pidfile = (), None

    def part(self) -> bool:
        """Leaves it for good. Whether it has gone before; then what was handed over is removed."""
        self._link.shutdown(socket.SHUT_WR)
        gone = has_hung_up(self._link) or self._is_dead()
        if gone:
            self.bury(())
        self.close()
        return gone

    def _is_dead(self) -> bool:
        """Whether its death is known in another way than by the link."""
        return False

    def close(self) -> None:
        """Gives the link back. To the other one this is the end of this process."""
        self._link.close()


@dataclass(frozen=True, slots=True)
class Start:
    """How a successor is started.

    Arguments:
        others: descriptors besides the listeners that it inherits under the same numbers.
        before_exec: called in its process first of all; HookError ends it.
    """

    command: Command
    others: Sequence[int]
    before_exec: Callable[[], None]


class Successor(Relative):
    """The old arbiter's side: the process it has started."""

    def __init__(self, start: Start, listeners: Sequence[Listener], pidfile: Pidfile | None) -> None:
        """Forks and runs the command; OSError if the kernel refuses to fork.

        Arguments:
            pidfile: of this arbiter.
        """
        self.ended = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        passed = tuple(Passed(one.text, one.socket.fileno(), one.path, one.inode) for one in listeners)
        told = Handover(0, os.getpid(), theirs.fileno(), passed, "" if pidfile is None else str(pidfile.path))
        # Until the child has no handlers any more, a signal to it would wake the arbiter.
        signal.pthread_sigmask(signal.SIG_BLOCK, ARBITER_SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                _become(start, told, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
            theirs.close()
        beside = None if pidfile is None else pidfile.path.with_name(pidfile.path.name + NEW)
        super().__init__(pid, ours, listeners, beside)

    def _is_dead(self) -> bool:
        # A worker that it forked the moment before it was killed may still hold its end of the link.
        try:
            return dead_child(self.pid) is not None
        except ChildProcessError:
            return True

    def messages(self) -> Iterator[Ready | Failed]:
        """What it says. The end is told by its exit."""
        while True:
            try:
                data = self._link.recv(LONGEST_MESSAGE)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self.ended = True
                return
            try:
                yield _decoder.decode(data)
            except msgspec.DecodeError as error:
                # Another version may know more words. If they matter it is not ready in time.
                log.warning("the new arbiter (pid %d) says what cannot be understood: %s", self.pid, error)


def _become(start: Start, told: Handover, link: socket.socket) -> NoReturn:
    """Turns the forked child into the new arbiter."""
    try:
        signal.set_wakeup_fd(-1)
        # Handlers end with execve, but what is ignored or blocked would stay so.
        for number in (*ARBITER_SIGNALS, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
        start.before_exec()
        for fd in (told.link, *(one.fd for one in told.listeners), *start.others):
            os.set_inheritable(fd, True)  # noqa: FBT003 - the standard library's own signature
        told = msgspec.structs.replace(told, pid=os.getpid())
        environ = _addressed(start.command.environ) | {HANDOVER: msgspec.json.encode(told).decode()}
        _run(start.command, environ)
    except HookError as error:
        tell(error)
        _say(link, Failed(str(error)))
    except BaseException as error:  # noqa: BLE001 - the top of a process; the old arbiter logs it
        _say(link, Failed(f"{type(error).__name__}: {error}"))
    finally:
        os._exit(NOT_FOUND)


def _addressed(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with systemd's variables addressed to the new process.

    See sd_listen_fds(3) and sd_watchdog_enabled(3).
    """
    own = {"LISTEN_PID": str(os.getpid()), "WATCHDOG_PID": str(os.getpid())}
    return dict(environ) | {name: pid for name, pid in own.items() if environ.get(name)}


def _run(command: Command, environ: dict[str, str]) -> NoReturn:
    try:
        os.chdir(command.folder)
    except OSError as error:
        raise StartError(f"the folder {command.folder} cannot be entered: {error.strerror}") from error
    try:
        os.execve(command.program, command.arguments, environ)  # noqa: S606 - the command of the user's own
    except OSError as error:
        raise StartError(f"{command.program} cannot be run: {error.strerror}") from error


class Predecessor(Relative):
    """The new arbiter's side: the one that has started it, and what it has handed over."""

    def __init__(self, handover: Handover) -> None:
        link = socket.socket(fileno=handover.link)
        link.set_inheritable(False)
        pidfile = Path(handover.pidfile) if handover.pidfile else None
        super().__init__(handover.predecessor, link, [_listener(one) for one in handover.listeners], pidfile)

    def ready(self) -> None:
        """Says that everything is served here."""
        _say(self._link, Ready())

    def failed(self, why: str) -> None:
        """Says why nothing is."""
        _say(self._link, Failed(why[:LONGEST_WHY]))


def find_predecessor() -> Predecessor | None:
    """The arbiter that has started this process in an upgrade. Takes its message out of the environment."""
    handover = _read_handover()
    os.environ.pop(HANDOVER, None)
    return None if handover is None else Predecessor(handover)


def report_failure(why: str) -> None:
    """Tells the predecessor, if there is one, why this process ends before it could become an arbiter."""
    predecessor = find_predecessor()
    if predecessor is not None:
        predecessor.failed("; ".join(why.splitlines()))
        predecessor.part()


def _read_handover() -> Handover | None:
    text = os.environ.get(HANDOVER)
    if not text:
        return None
    try:
        handover = _handover.decode(text)
    except msgspec.DecodeError as error:
        log.warning("the environment variable %s is ignored, it cannot be read: %s", HANDOVER, error)
        return None
    # A program that runs others before it serves leaves the variable to them as well.
    return handover if handover.pid == os.getpid() and _is_socket(handover.link) else None


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def _listener(passed: Passed) -> Listener:
    sock = socket.socket(fileno=passed.fd)
    sock.set_inheritable(False)
    sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return Listener(passed.text, sock, passed.path, passed.inode)


def _say(link: socket.socket, message: Ready | Failed) -> None:
    # An old arbiter that is gone meanwhile needs to hear nothing; that it is gone is told by the link itself.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
        link.send(msgspec.json.encode(message))
