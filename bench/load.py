"""The clients: wrk for many small requests; Python for large bodies, idle and new connections, and ticks."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

from .machine import HERE
from .measure import Failed, get

TIMEOUT = 5  # seconds without an answer after which a request counts as dropped
PATIENCE = 30  # seconds for what should take two or three
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wrk:
    """What one run of wrk saw; latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def begin(port: int, path: str, connections: int, seconds: int, kind: str = "plain") -> subprocess.Popen[str]:
    """Start wrk; `kind` is what wrk.lua sends. It ends by itself after `seconds`."""
    size = [
        "--threads",
        "1",
        "--connections",
        str(connections),
        "--duration",
        f"{seconds}s",
        "--timeout",
        f"{TIMEOUT}s",
    ]
    command = ["wrk", *size, "--script", str(HERE / "wrk.lua"), f"http://127.0.0.1:{port}{path}", "--", kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(wrk: subprocess.Popen[str], least_bytes: int) -> Wrk:
    """Wait for wrk and read its figures.

    Raises Failed when a request was dropped or refused, or when answers were on average shorter than `least_bytes`.
    """
    output, _ = wrk.communicate()
    lines = [line for line in output.splitlines() if line.startswith("BENCH ")]
    if not lines:
        raise Failed(f"wrk gave no figures: {output.strip()[-160:]}")
    seen = json.loads(lines[0].removeprefix("BENCH "))
    requests = seen["requests"]
    errors = {kind: seen[kind] for kind in ("connect", "read", "write", "status", "timeout") if seen[kind]}
    if errors:
        told = ", ".join(f"{count:,} {kind}" for kind, count in errors.items())
        raise Failed(f"errors beside {requests:,} answers: {told}")
    if requests == 0:
        raise Failed("answered no request")
    if seen["bytes"] < requests * least_bytes:
        raise Failed(f"answers of {seen['bytes'] / requests:.0f} bytes, fewer than the body's {least_bytes}")
    return Wrk(requests, seen["microseconds"] / 1e6, seen["p50"] / 1000, seen["p99"] / 1000)


def closes(port: int) -> bool:
    """Whether a request with `Connection: close` is answered and the connection then closed (RFC 9112 section 9.6).

    Within a second: a server that keeps it open may close it when it has been idle for some.
    """
    with socket.create_connection(("127.0.0.1", port), 1) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        received = 0
        try:
            while block := client.recv(65536):
                received += len(block)
        except TimeoutError:
            return False
        return received > 0


def upload(port: int, size: int) -> None:
    """POST `size` bytes. Raises Failed unless the app says that it read them all."""
    block = b"\xa5" * MIB
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/", (block for _ in range(size // MIB)), {"Content-Length": str(size)})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, HTTPException) as problem:
        raise Failed(f"upload: {type(problem).__name__} {problem}") from problem
    finally:
        connection.close()
    if response.status != 200 or answer != str(size).encode():
        raise Failed(f"upload: status {response.status}, {answer[:80]!r} instead of {size}")


def download(port: int, *, checksum: bool = False) -> tuple[int, int]:
    """GET the file: its length, and its CRC-32 when asked for (0 otherwise, so that the load costs less)."""
    buffer, length, crc = memoryview(bytearray(MIB)), 0, 0
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        while got := response.readinto(buffer):
            length += got
            crc = zlib.crc32(buffer[:got], crc) if checksum else 0
    except (OSError, HTTPException) as problem:
        raise Failed(f"download: {type(problem).__name__} {problem}") from problem
    finally:
        connection.close()
    if response.status != 200:
        raise Failed(f"download: status {response.status}")
    return length, crc


def make_file(path: Path, size: int) -> Path:
    """A file of `size` bytes that no lost or doubled block leaves unchanged; made once."""
    if not path.exists() or path.stat().st_size != size:
        with path.open("wb") as file:
            for number in range(size // MIB):
                file.write((b"%016d" % number) * (MIB // 16))
    return path


def file_crc(path: Path) -> int:
    """The CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(MIB):
            crc = zlib.crc32(block, crc)
    return crc


class Idle:
    """Keep-alive connections that had one request each and then say nothing; use as a context."""

    def __init__(self, port: int, body: bytes) -> None:
        """Nothing is opened yet; `body` is how an answer ends."""
        self.port = port
        self.body = body
        self.sockets: list[socket.socket] = []

    def __repr__(self) -> str:
        return f"<Idle {len(self.sockets)} connections to port {self.port}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for held in self.sockets:
            held.close()
        self.sockets.clear()

    def open(self, count: int) -> None:
        """Open `count` connections, a request on each. Raises Failed when one is not answered or all take too long."""
        deadline = time.monotonic() + PATIENCE
        for number in range(count):
            if time.monotonic() > deadline:
                raise Failed(f"answered only {number:,} of {count:,} new connections in {PATIENCE} s")
            client = socket.socket()
            self.sockets.append(client)
            client.settimeout(TIMEOUT)
            try:
                client.connect(("127.0.0.1", self.port))
                answered = self.ask(client)
            except OSError:
                answered = False
            if not answered:
                raise Failed(f"answered {number:,} of {count:,} connections that stay open")

    def ask(self, client: socket.socket) -> bool:
        """Whether a request on this connection is answered in full."""
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b""
        while not answer.endswith(self.body):
            block = client.recv(65536)
            if not block:
                return False
            answer += block
        return True

    def check(self) -> None:
        """Ask again on every connection. Raises Failed with how many the server had closed."""
        closed = 0
        for client in self.sockets:
            try:
                closed += not self.ask(client)
            except OSError:
                closed += 1
        if closed:
            raise Failed(f"had closed {closed:,} of {len(self.sockets):,} idle connections")


class Slow:
    """Clients that dawdle: half of them send a body bit by bit, half read an answer bit by bit; use as a context.

    The server must not end any of them meanwhile, and must answer the bodies when they are complete.
    """

    def __init__(self, port: int, count: int, size: int) -> None:
        """Nothing is opened yet; `size` is that of the bodies sent, and what is read of the answers is less."""
        self.port = port
        self.size = size
        self.sent = 0
        self.senders = [socket.socket() for _ in range(count // 2)]
        self.readers = [socket.socket() for _ in range(count - count // 2)]
        self.over = threading.Event()
        self.trouble = ""
        self.thread = threading.Thread(target=self._dawdle)

    def __repr__(self) -> str:
        return f"<Slow {len(self.senders)} that send and {len(self.readers)} that read, at port {self.port}>"

    def __enter__(self) -> Self:
        for client in (*self.senders, *self.readers):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(TIMEOUT)
            client.connect(("127.0.0.1", self.port))
        for client in self.senders:
            client.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % self.size)
        for client in self.readers:
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        for client in (*self.senders, *self.readers):
            client.close()

    def _dawdle(self) -> None:
        """100 bytes five times a second for each client: half a kilobyte a second is slower than any modem was."""
        while not self.over.wait(0.2) and not self.trouble:
            try:
                for client in self.senders:
                    client.sendall(b"x" * 100)
                for client in self.readers:
                    if not client.recv(100):
                        raise ConnectionError("an answer ended")
            except OSError as problem:
                self.trouble = f"{type(problem).__name__} {problem}"
            self.sent += 100

    def check(self) -> None:
        """Complete the bodies. Raises Failed when one is not answered, or when a client was let down before."""
        self.over.set()
        self.thread.join()
        answered = 0
        for client in self.senders if not self.trouble else ():
            client.sendall(b"x" * (self.size - self.sent))
            answered += client.recv(65536).startswith(b"HTTP/1.1 200")
        if answered < len(self.senders):
            raise Failed(
                f"answered {answered} of {len(self.senders)} slow clients; {self.trouble or 'all others waited'}"
            )


def new_connection_ms(port: int, count: int) -> Iterator[float]:
    """Milliseconds from connect to the end of the answer, for `count` connections in turn, fewer if they are slow."""
    deadline = time.monotonic() + PATIENCE
    for _ in range(count):
        if time.monotonic() > deadline:
            return
        start = time.perf_counter()
        get(port)
        yield (time.perf_counter() - start) * 1000


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ticks(port: int) -> dict[str, float]:
    """The clock and the counts of bench.apps.ticker."""
    answer: dict[str, float] = json.loads(get(port, "/ticks"))
    return answer
