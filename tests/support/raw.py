"""A raw HTTP/1 client: it sends exactly the bytes it is told to and reads responses with a deadline."""

import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

DEADLINE = 15.0
"""Seconds a test waits for bytes; only a broken server ever needs them."""


@dataclass(frozen=True)
class Response:
    """One response as read from the wire: the body decoded, `headers` with lower-case names, repeated ones joined."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    head: bytes

    @property
    def closes(self) -> bool:
        """The server says that it closes behind this response."""
        return "close" in self.headers.get("connection", "").lower()


class Client:
    """One connection. Reading beyond what the server sends raises ConnectionError; waiting too long TimeoutError."""

    def __init__(self, url: str, *, receive_buffer: int | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            address: str | tuple[str, int] = parts.path
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in (parts.hostname or "") else socket.AF_INET)
            address = (parts.hostname or "", parts.port or 80)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def __del__(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`; a server that has closed already is not this call's business."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def send_pieces(self, data: bytes, sizes: list[int]) -> None:
        """Send `data` in pieces of the given sizes, the rest as the last one, each in a segment of its own."""
        at = 0
        for size in sizes:
            self.send(data[at : at + size])
            at += size
        self.send(data[at:])

    def hurry(self) -> None:
        """Read at full speed from now on, after a start with a small receive buffer."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def get(self, target: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> Response:
        """Send a plain request and read its response."""
        self.request(target, *headers, method=method, body=body)
        return self.read_response(head_only=method == "HEAD")

    def request(self, target: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> None:
        """Send a plain request."""
        lines = [f"{method} {target} HTTP/1.1", "Host: test", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def read_response(self, *, head_only: bool = False, versions: Collection[str] = ("HTTP/1.1",)) -> Response:
        """Read one response, decoded by its framing."""
        head = self.read_until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        version, status, reason = [*lines[0].split(" ", 2), ""][:3]
        assert version in versions, lines[0]
        headers: dict[str, str] = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            name = name.lower()
            value = value.strip(" ")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        body = b"" if head_only else self._read_body(int(status), headers)
        return Response(int(status), reason, headers, body, head)

    def _read_body(self, status: int, headers: dict[str, str]) -> bytes:
        if status < 200 or status in (204, 304):
            return b""
        if headers.get("transfer-encoding") == "chunked":
            return self.read_chunks()
        if "content-length" in headers:
            return self.read_exactly(int(headers["content-length"]))
        return self.read_to_end()

    def read_chunks(self) -> bytes:
        """Read a chunked body whose head has been read."""
        body = b""
        while size := int(self.read_until(b"\r\n")[:-2], 16):
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        assert self.read_exactly(2) == b"\r\n"
        return body

    def read_until(self, end: bytes) -> bytes:
        """Read up to and with `end`."""
        while end not in self.buffer:
            self._receive()
        found, _, self.buffer = self.buffer.partition(end)
        return found + end

    def read_exactly(self, size: int) -> bytes:
        """Read `size` bytes."""
        while len(self.buffer) < size:
            self._receive()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_to_end(self) -> bytes:
        """Read until the server closes; a reset is an error."""
        while data := self.socket.recv(1 << 16):
            self.buffer += data
        data, self.buffer = self.buffer, b""
        return data

    def is_closed(self) -> bool:
        """Wait for the server's end: True for an orderly close with nothing before it, False for more bytes."""
        return not self.buffer and not self.socket.recv(1)

    def is_reset(self) -> bool:
        """Wait for the server's end: True if it is a reset."""
        try:
            while self.socket.recv(1 << 16):
                continue
        except ConnectionResetError:
            return True
        return False

    def _receive(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            message = f"the server closed after {len(self.buffer)} octets, ...{self.buffer[-200:]!r}"
            raise ConnectionError(message)
        self.buffer += data


def wait_for(condition: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """Wait until `condition` gives something true, and return that; fails with `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            message = f"waited {seconds} s for {what}"
            raise AssertionError(message)
        time.sleep(0.005)
    return found
