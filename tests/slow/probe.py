"""The good client: one request after the other, on a kept and on a new connection in turn; how long each took."""

import contextlib
import socket
import time
from dataclasses import dataclass, field

REQUEST = b"GET / HTTP/1.1\r\nHost: good\r\n%s\r\n"
PATIENCE = 5.0
"""Seconds after which a request counts as lost."""

PAUSE = 0.005
"""Seconds between two requests."""


@dataclass
class Seen:
    """What the good client saw."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0

    def percentile(self, share: float) -> float:
        """In milliseconds; a lost request counts as long as it was waited for."""
        ordered = sorted([*self.seconds, *[PATIENCE] * self.lost])
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def probe(address: tuple[str, int], seconds: float) -> Seen:
    """Asks for so long."""
    seen, kept = Seen(), None
    until = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < until:
        turn += 1
        began = time.monotonic()
        try:
            if turn % 2:
                with socket.create_connection(address, PATIENCE) as fresh:
                    ask(fresh, b"Connection: close\r\n")
            else:
                kept = kept or socket.create_connection(address, PATIENCE)
                if not ask(kept, b""):
                    kept = close(kept)
            seen.seconds.append(time.monotonic() - began)
        except OSError:
            seen.lost += 1
            kept = close(kept)
        time.sleep(PAUSE)
    close(kept)
    return seen


def ask(client: socket.socket, header: bytes) -> bool:
    """One request; whether the connection may be used again. Raises OSError if it is not answered."""
    client.settimeout(PATIENCE)
    client.sendall(REQUEST % header)
    answer = b""
    while not answer.endswith(b"Hello World!"):
        data = client.recv(65536)
        if not data:
            raise ConnectionError("closed without an answer")
        answer += data
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError("not answered 200")
    return b"connection: close" not in answer.lower()


def close(client: socket.socket | None) -> None:
    """Closes what is open."""
    if client is not None:
        with contextlib.suppress(OSError):
            client.close()
