"""How one arbiter starts another and hands its listeners over: the processes and descriptors behind `upgrade.py`.

The new arbiter is the same command run again: a child of this one, with the listeners open under the same numbers and
a description of them in one environment variable. Between the two there is a socket pair. The new one says through it
that it is ready, or why it cannot be; its end of file tells each of the other's death.
"""

import contextlib
import logging
import os
import signal
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from pronghorn.arbiter.command import Command
from pronghorn.arbiter.listeners import Listener, inode_of
from pronghorn.errors import StartError
from pronghorn.options.address import FdAddress, TcpAddress, UnixAddress, parse_address
from pronghorn.options.inherited import HANDOVER
from pronghorn.worker.boot import ARBITER_SIGNALS

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


class Handover(msgspec.Struct, frozen=True):
    """What the new arbiter is told. Other versions may add fields; unknown ones are left alone.

    Arguments:
        pid: of the new arbiter. Nobody else who finds the variable in the environment is meant.
        link: its descriptor of the socket pair.
    """

    pid: int
    predecessor: int
    link: int
    listeners: tuple[Passed, ...]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The new arbiter serves; from now on these files are its own: unix sockets, and the pidfile it will rename to."""

    files: tuple[str, ...] = ()


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The new arbiter cannot serve and ends; `why` is one line."""

    why: str


_decoder: msgspec.json.Decoder[Ready | Failed] = msgspec.json.Decoder(Ready | Failed)
_handover: msgspec.json.Decoder[Handover] = msgspec.json.Decoder(Handover)


class Successor:
    """The old arbiter's side: the process it has started."""

    def __init__(self, command: Command, listeners: Sequence[Listener], others: Iterable[int] = ()) -> None:
        """Forks and runs `command`; OSError if the kernel refuses to fork.

        Arguments:
            others: descriptors besides the listeners that it inherits under the same numbers.
        """
        self.files: frozenset[str] | None = None
        self.ended = False
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        arbiter = os.getpid()
        # Until the child has no handlers any more, a signal to it would wake the arbiter.
        signal.pthread_sigmask(signal.SIG_BLOCK, ARBITER_SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _become(command, arbiter, theirs, listeners, others)
        except OSError:
            self._link.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
            theirs.close()

    def __repr__(self) -> str:
        return f"<Successor {self.pid}>"

    def fileno(self) -> int:
        """Readable when it has something to say, or is gone."""
        return self._link.fileno()

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
            message = _decoder.decode(data)
            if isinstance(message, Ready):
                self.files = frozenset(message.files)
            yield message

    def close(self) -> None:
        """Lets go of it: to the new arbiter this is the end of the old one."""
        self._link.close()


def _become(
    command: Command, arbiter: int, link: socket.socket, listeners: Sequence[Listener], others: Iterable[int]
) -> NoReturn:
    """Turns the forked child into the new arbiter."""
    try:
        signal.set_wakeup_fd(-1)
        # Handlers end with execve, but what is ignored or blocked would stay so.
        for number in (*ARBITER_SIGNALS, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ARBITER_SIGNALS)
        passed = tuple(Passed(one.text, one.socket.fileno(), one.path) for one in listeners)
        for fd in (link.fileno(), *(one.fd for one in passed), *others):
            os.set_inheritable(fd, True)  # noqa: FBT003 - the standard library's own signature
        told = Handover(os.getpid(), arbiter, link.fileno(), passed)
        environ = _addressed(command.environ) | {HANDOVER: msgspec.json.encode(told).decode()}
        _run(command, environ)
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


class Predecessor:
    """The new arbiter's side: the one that has started it, and what it has handed over."""

    def __init__(self, handover: Handover) -> None:
        self.pid = handover.predecessor
        self._link = socket.socket(fileno=handover.link)
        self._link.set_inheritable(False)
        self._link.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self.listeners = tuple(_listener(one) for one in handover.listeners)

    def __repr__(self) -> str:
        return f"<Predecessor {self.pid}>"

    def fileno(self) -> int:
        """Readable when it is gone."""
        return self._link.fileno()

    @property
    def files(self) -> frozenset[str]:
        """The socket files that are its own as long as it lives."""
        return frozenset(listener.path for listener in self.listeners if listener.path)

    def ready(self, files: Iterable[str]) -> None:
        """Says that everything is served here, and which files it must leave behind."""
        _say(self._link, Ready(tuple(files)))

    def failed(self, why: str) -> None:
        """Says why nothing is."""
        _say(self._link, Failed(why[:LONGEST_WHY]))

    def close(self) -> None:
        """Gives the link back."""
        self._link.close()


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
        predecessor.close()


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
    return Listener(passed.text, sock, passed.path, inode_of(passed.path) if passed.path else None)


def claim(held: Sequence[Listener], addresses: Sequence[str]) -> list[Listener]:
    """The listeners handed over, named as the new settings name them.

    The same socket may be written in another way than before (`:8000` and `0.0.0.0:8000`, a path with `./`), and a
    second one cannot be bound beside it.
    """
    known = {listener.text for listener in held}
    names = {place: text for text in addresses if text not in known for place in _places(text)}
    return [
        listener
        if listener.text in addresses
        else Listener(names.get(_place_of(listener), listener.text), listener.socket, listener.path, listener.inode)
        for listener in held
    ]


def _places(text: str) -> list[tuple[object, ...]]:
    match parse_address(text):
        case UnixAddress(path):
            return [(socket.AF_UNIX, str(Path(path).absolute()))]
        case TcpAddress(host, port) if port:
            with contextlib.suppress(OSError):
                found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)  # noqa: S104
                return [(family, name[0], name[1]) for family, _, _, _, name in found]
        case TcpAddress() | FdAddress():
            pass
    return []


def _place_of(listener: Listener) -> tuple[object, ...]:
    if listener.path:
        return (socket.AF_UNIX, listener.path)
    name = listener.socket.getsockname()
    family = listener.socket.family
    return (family, *name[:2]) if family in (socket.AF_INET, socket.AF_INET6) else (family, name)


def _say(link: socket.socket, message: Ready | Failed) -> None:
    # An old arbiter that is gone meanwhile needs to hear nothing; that it is gone is told by the link itself.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
        link.send(msgspec.json.encode(message))
