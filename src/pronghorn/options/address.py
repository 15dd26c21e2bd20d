"""The addresses a listener can be bound to, and how they are written."""

import ipaddress
import re

from msgspec import Struct

SOCKET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,254}")
"""A FileDescriptorName= of systemd, as far as it cannot be taken for a number or a separator."""

DEFAULT_PORT = 8000
HIGHEST_PORT = 65535


class TcpAddress(Struct, frozen=True):
    """A host (a name, an IPv4 or an IPv6 address without brackets; empty: every IPv4 address) and a port.

    Port 0 lets the kernel choose one.
    """

    host: str
    port: int


class UnixAddress(Struct, frozen=True):
    """A path in the file system."""

    path: str


class FdAddress(Struct, frozen=True):
    """A listening socket that this process inherited, by its descriptor or by the name that systemd gives it."""

    fd: int
    name: str = ""


Address = TcpAddress | UnixAddress | FdAddress


def parse_address(text: str) -> Address:
    """The address that `text` writes: `host:port`, `[::1]:8000`, `:8000`, `unix:/path`, `fd://3`, `fd://web`.

    A host alone gets port 8000, and `tcp://` may stand before a host, as with Gunicorn. ValueError says what is wrong
    and how to write it.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path or "\0" in path:
            raise ValueError(f"{text!r} has no path: write unix:/run/app.sock")
        return UnixAddress(path)
    if text.startswith("fd://"):
        which = text.removeprefix("fd://")
        if _is_number(which):
            return FdAddress(int(which))
        if not SOCKET_NAME.fullmatch(which):
            raise ValueError(f"{text!r} has no descriptor number: write fd://3, or the name of a socket unit, fd://web")
        return FdAddress(-1, which)
    return _parse_tcp(text)


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, is this machine and reachable from it only."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _parse_tcp(text: str) -> TcpAddress:
    rest = text.removeprefix("tcp://")
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or not host or (port and not port.startswith(":")):
            raise ValueError(f"{text!r} is not an address: write [::1]:8000")
        return TcpAddress(host, _port(text, port[1:] if port else str(DEFAULT_PORT)))
    if rest.count(":") > 1:
        raise ValueError(f"{text!r} is ambiguous: an IPv6 address stands in brackets, [::1]:8000")
    if _is_number(rest):
        raise ValueError(f"{text!r} is not an address: write :{rest} or 127.0.0.1:{rest}")
    host, colon, port = rest.partition(":")
    if not rest or "/" in host or host != "".join(host.split()):
        raise ValueError(f"{text!r} is not an address: write host:port, [::1]:8000, unix:/path or fd://3")
    return TcpAddress(host, _port(text, port if colon else str(DEFAULT_PORT)))


def _port(text: str, digits: str) -> int:
    if not _is_number(digits) or int(digits) > HIGHEST_PORT:
        raise ValueError(f"{text!r} has no port from 0 to {HIGHEST_PORT}: write host:port")
    return int(digits)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
