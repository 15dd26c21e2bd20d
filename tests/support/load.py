"""Clients that ask without a pause while a test does something to the server, and account for every request."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from tests.support.raw import Client

KEEP_ALIVE = b"GET /load HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSING = b"GET /load HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Load:
    """Some clients that keep their connections and some that open a new one for each request.

    A kept connection that the server closes between two requests is not a failure: the request was not taken, and any
    client sends it again on a new connection (RFC 9112 section 9.3.1). It is counted as `resent`. Everything else that
    is not a 200 is an entry of `failures`.
    """

    def __init__(self, url: str, *, kept: int = 3, new: int = 3) -> None:
        self.failures: list[str] = []
        self.counts: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()
        self._url = url
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._keep) for _ in range(kept)]
        self._threads += [threading.Thread(target=self._renew) for _ in range(new)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        """Requests answered with 200 so far."""
        return self.counts["answered"]

    def _keep(self) -> None:
        while not self._over.is_set():
            with self._connection() as client:
                used = False
                while client is not None and not self._over.is_set() and self._ask(client, KEEP_ALIVE, used=used):
                    used = True

    def _renew(self) -> None:
        while not self._over.is_set():
            with self._connection() as client:
                if client is not None:
                    self._ask(client, CLOSING, used=False)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Client | None]:
        try:
            client = Client(self._url)
        except OSError as error:
            self._fail(f"connecting: {error!r}")
            time.sleep(0.01)
            yield None
            return
        # Without it thousands of closed connections would wait out their minute and take the ports.
        if client.socket.family != socket.AF_UNIX:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with client:
            yield client

    def _ask(self, client: Client, request: bytes, *, used: bool) -> bool:
        """Asks once; whether the connection can be used again."""
        client.send(request)
        if used and _is_closed(client):
            with self._lock:
                self.counts["resent"] += 1
            return False
        try:
            response = client.read_response()
        except OSError as error:
            self._fail(f"{'kept' if used else 'new'} connection: {error!r}, read {client.buffer[:60]!r}")
            return False
        if response.status != 200:
            self._fail(f"{response.status}: {response.body[:80]!r}")
            return False
        with self._lock:
            self.counts["answered"] += 1
            self.bodies[response.body.decode().split()[-1]] += 1
        return not response.closes

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)


def _is_closed(client: Client) -> bool:
    """Whether the connection ends before the first octet of an answer."""
    try:
        return not client.socket.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        return True
