"""Binds the listeners that all workers share: TCP over IPv4 and IPv6, unix sockets, inherited descriptors."""

import errno
import logging
import os
import socket
import stat
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pronghorn.errors import ListenError
from pronghorn.options.address import Address, FdAddress, TcpAddress, UnixAddress, parse_address

log = logging.getLogger("pronghorn.error")

EVERY_IPV4 = "0.0.0.0"  # noqa: S104 - what `:8000` asks for


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket.

    Arguments:
        text: the address as the settings wrote it when it was opened.
        path: a unix socket's file, absolute: the application may change the current directory.
        inode: device and inode of that file, so that only our own is ever removed.
        place: where it listens, in the kernel's words; known also when this process has closed the socket.
    """

    text: str
    socket: socket.socket
    path: str = ""
    inode: tuple[int, int] | None = None
    place: tuple[object, ...] = field(init=False)

    def __post_init__(self) -> None:
        place = (socket.AF_UNIX, self.path) if self.path else (self.socket.family, self.socket.getsockname())
        object.__setattr__(self, "place", place)

    @property
    def url(self) -> str:
        """Where a client finds it, with the port the kernel chose."""
        return url_of(self.socket)


def open_listeners(
    addresses: Sequence[str], backlog: int, held: Sequence[Listener] = (), *, reuse_port: bool = False
) -> list[Listener]:
    """Listens on every address; all or none.

    Arguments:
        addresses: as `bind` writes them.
        backlog: connections the kernel may hold before they are accepted.
        held: listeners that are open; one of the same address, also in other words (`:8000` and `0.0.0.0:8000`), is
            used again: a second one cannot be bound beside it.
        reuse_port: whether other processes may bind the same TCP ports, if they say so too (SO_REUSEPORT).

    Raises:
        ListenError: one line that names the address and the remedy.
    """
    opened: list[Listener] = []
    # Those that are wanted under their own name are nobody else's.
    free = {listener.place: listener for listener in held if listener.text not in addresses}
    try:
        for text in dict.fromkeys(addresses):
            # A name may stand for several: `localhost` is 127.0.0.1 and ::1.
            known = [listener for listener in held if listener.text == text]
            opened.extend(known or _open(text, parse_address(text), backlog, free, reuse_port=reuse_port))
    except BaseException:
        close_listeners(listener for listener in opened if listener not in held)
        raise
    return opened


def close_listeners(listeners: Iterable[Listener], spared: Container[str] = ()) -> None:
    """Closes them, and removes the files of unix sockets that are still ours.

    Arguments:
        spared: socket files that another arbiter serves, during an upgrade.
    """
    for listener in listeners:
        listener.socket.close()
        if listener.inode is None or listener.path in spared or inode_of(listener.path) != listener.inode:
            continue
        try:
            Path(listener.path).unlink()
        except OSError as error:
            # The next start removes it: nobody answers there.
            log.warning("the socket file %s cannot be removed: %s", listener.path, error.strerror)


def url_of(sock: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    host, port = name[0], name[1]
    return f"http://[{host}]:{port}" if sock.family == socket.AF_INET6 else f"http://{host}:{port}"


def _open(
    text: str, address: Address, backlog: int, free: dict[tuple[object, ...], Listener], *, reuse_port: bool
) -> list[Listener]:
    """Opens it, or takes what is open there already out of `free`."""
    match address:
        case TcpAddress():
            return _open_tcp(text, address, backlog, free, reuse_port=reuse_port)
        case UnixAddress(path):
            return [free.pop((socket.AF_UNIX, str(Path(path).absolute())), None) or _open_unix(text, path, backlog)]
        case FdAddress():
            return [Listener(text, _adopt(text, address.fd))]


def _open_tcp(
    text: str, address: TcpAddress, backlog: int, free: dict[tuple[object, ...], Listener], *, reuse_port: bool
) -> list[Listener]:
    """One socket for each address that the host has: `localhost` is 127.0.0.1 and often ::1."""
    host = address.host or EVERY_IPV4
    # As octets where it can be: to encode a str Python loads its tables of Unicode.
    asked = host.encode() if host.isascii() else host
    try:
        found = socket.getaddrinfo(asked, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ListenError(f"cannot listen on {text}: host {address.host!r} is not known ({error.strerror})") from error
    opened: list[Listener] = []
    port = address.port
    try:
        for family, _, _, _, name in dict.fromkeys(found):
            # Port 0 for a name with two addresses: the second takes the port that the first was given.
            target = (name[0], port, *name[2:])
            try:
                listener = free.pop((family, target), None) or Listener(
                    text, _bind_tcp(socket.AddressFamily(family), target, backlog, reuse_port=reuse_port)
                )
            except OSError as error:
                if opened and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    # A resolver names ::1 on machines without IPv6 as well.
                    continue
                raise ListenError(_explain(text, error)) from error
            opened.append(listener)
            port = port or listener.socket.getsockname()[1]
    except BaseException:
        close_listeners(listener for listener in opened if listener.text == text)
        raise
    return opened


def _bind_tcp(
    family: socket.AddressFamily, name: tuple[object, ...], backlog: int, *, reuse_port: bool
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without it a restart fails for a minute on connections in TIME_WAIT. It never lets two servers listen at once.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # [::] means IPv6: with 0.0.0.0 beside it both can be bound, and REMOTE_ADDR never reads ::ffff:1.2.3.4.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(name)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_unix(text: str, path: str, backlog: int) -> Listener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(text, path)
        sock.bind(path)
        sock.listen(backlog)
    except ListenError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise ListenError(_explain(text, error)) from error
    return Listener(text, sock, str(Path(path).absolute()), inode_of(path))


def _remove_stale(text: str, path: str) -> None:
    """Removes the file that a killed server left; ListenError if it is no socket or somebody still answers on it."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"cannot listen on {text}: {path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except TimeoutError:
            pass  # A full backlog: somebody listens, if slowly.
    raise ListenError(f"cannot listen on {text}: another server answers there; stop it, or use another --bind")


def inode_of(path: str) -> tuple[int, int] | None:
    """Device and inode of the file, None if there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _adopt(text: str, fd: int) -> socket.socket:
    """The inherited socket. It listens already (socket activation); listening again would reset its backlog."""
    try:
        sock = socket.socket(fileno=os.dup(fd))
    except OSError as error:
        raise ListenError(f"cannot listen on {text}: descriptor {fd} is not a socket ({error.strerror})") from error
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise ListenError(f"cannot listen on {text}: descriptor {fd} is a socket that nobody called listen() on")
    return sock


def _explain(text: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            why = "the address is in use by another process; stop it, or use another --bind"
        case errno.EACCES | errno.EPERM:
            why = "permission denied; ports below 1024 need privileges (CAP_NET_BIND_SERVICE), paths a writable folder"
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address; 0.0.0.0 listens on all that it has"
        case errno.ENOENT:
            why = "its folder does not exist"
        case _:
            why = error.strerror or str(error)
    return f"cannot listen on {text}: {why}"
