"""The load: visitors that each ask, check every octet of the answer, think for a moment, and ask again.

A program of its own, so that its CPU is not the server's: `python -m tests.faults.client '{"port": 8000}'` runs until
its standard input ends, at most `seconds`, and prints one JSON object: what it sent and what came of it.

Half of the visitors keep their connections, half ask for `Connection: close`. Every request carries a token that no
other has, and the answer must be made of it, so a response that reaches the wrong client is found. A request that fails
on a connection that had served before is asked once more on a new one, as RFC 9112 section 9.3.1 allows for idempotent
methods (the visitors use no other) and browsers do: the server may close an idle connection at any moment. Both figures
are told, `failed` and `failed_after_retry`.
"""

import contextlib
import json
import random
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from tests.faults.page import page

SIZES = (0, 100, 3_000, 40_000)
UPLOADS = (10, 3_000, 60_000)
SLOWEST = 300
"""Milliseconds the application is asked to wait in a slow request."""

MOST_FAILURES = 5000
"""Failures kept in detail."""


class Fate(StrEnum):
    """What came of one attempt at a request."""

    CORRECT = "correct"
    REFUSED = "refused"
    """No connection."""
    RESET = "reset"
    """The connection ended before the first octet of the answer."""
    CUT = "cut"
    """It ended within the answer."""
    TIMEOUT = "timeout"
    WRONG = "wrong"
    """Another status, another body, or an answer that is no HTTP."""


@dataclass(frozen=True)
class Plan:
    """What the load is. Times in seconds."""

    port: int
    host: str = "127.0.0.1"
    keeping: int = 12
    closing: int = 12
    think: float = 0.02
    patience: float = 15.0
    """A request without its whole answer after this time has failed."""
    seconds: float = 120.0
    until_refused: bool = False
    """Visitors leave when a connection is refused: the server said that it is no longer there."""
    seed: int = 1


@dataclass
class Tally:
    """What came of all requests."""

    sent: int = 0
    correct: int = 0
    stale: int = 0
    """Kept connections that the server had closed before the next request was sent: no failure."""
    failed: Counter[str] = field(default_factory=Counter)
    failed_after_retry: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, object]] = field(default_factory=list)
    """The first ones in detail; `at` is monotonic, which all processes of a machine share."""
    versions: dict[str, int] = field(default_factory=dict)
    pids: dict[str, float] = field(default_factory=dict)
    """When each worker answered first."""
    longest_pause: float = 0.0
    """Seconds without one correct answer to anybody."""
    slowest: float = 0.0
    seconds: float = 0.0


class Failed(Exception):  # noqa: N818 - it is a fate, not an error of this program
    """An attempt failed."""

    def __init__(self, fate: Fate, detail: str = "") -> None:
        super().__init__(detail)
        self.fate = fate


@dataclass(frozen=True)
class Ask:
    """One request: what to send, and what must come back."""

    token: str
    method: str
    path: str
    size: int
    body: bytes = b""

    def octets(self, *, keep: bool) -> bytes:
        """As sent."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: faults"]
        lines += [] if keep else ["Connection: close"]
        lines += [f"Content-Length: {len(self.body)}"] if self.body else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body

    def check(self, status: int, body: bytes) -> tuple[str, str]:
        """The version and the worker that answered; Failed unless every octet is right."""
        if status != 200:
            raise Failed(Fate.WRONG, f"status {status}: {body[:200]!r}")
        first = body.partition(b"\n")[0].decode("latin-1").split(" ")
        if len(first) != 4 or body != page(self.token, first[1], first[2], self.size, zlib.crc32(self.body)):
            raise Failed(Fate.WRONG, f"body of {len(body)} octets for {self.path}: {body[:60]!r} … {body[-60:]!r}")
        return first[1], first[2]


def next_ask(dice: random.Random, name: str) -> Ask:
    """Mostly small pages, some slow, some streamed, some uploads."""
    token = f"{name}-{dice.getrandbits(48):012x}"
    size = dice.choice(SIZES)
    kind = dice.random()
    if kind < 0.10:
        return Ask(token, "GET", f"/slow/{token}/{size}/{dice.randrange(SLOWEST)}", size)
    if kind < 0.20:
        return Ask(token, "GET", f"/stream/{token}/{size}", size)
    if kind < 0.30:
        return Ask(token, "PUT", f"/page/{token}/{size}", size, dice.randbytes(dice.choice(UPLOADS)))
    return Ask(token, "GET", f"/page/{token}/{size}", size)


class Connection:
    """One connection. Every way to fail is a Failed."""

    def __init__(self, plan: Plan) -> None:
        self.served = 0
        self._rest = b""
        self._got = 0
        try:
            self._socket = socket.create_connection((plan.host, plan.port), plan.patience)
        except TimeoutError as error:
            raise Failed(Fate.TIMEOUT, "connecting") from error
        except OSError as error:
            raise Failed(Fate.REFUSED, str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Idempotent."""
        self._socket.close()

    def is_stale(self) -> bool:
        """The server has ended it, as a client that looks before it sends can see."""
        timeout = self._socket.gettimeout()
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._socket.settimeout(timeout)
        return True

    def ask(self, octets: bytes) -> tuple[int, bytes, bool]:
        """Status, body, and whether the server keeps the connection."""
        self._got = len(self._rest)
        try:
            # A server may answer and close before it has read everything; its answer counts, not the failed send.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(octets)
            head = self._read_until(b"\r\n\r\n")
            status, fields = parse_head(head)
            body = self._read_body(fields)
        except TimeoutError as error:
            raise Failed(Fate.TIMEOUT, f"after {self._got} octets of the answer") from error
        except OSError as error:
            raise Failed(Fate.CUT if self._got else Fate.RESET, f"{error} after {self._got} octets") from error
        self.served += 1
        return status, body, fields.get("connection", "").lower() != "close"

    def _read_body(self, fields: dict[str, str]) -> bytes:
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._read_until(b"\r\n")[:-2], 16):
                body += self._read(size)
                self._read(2)
            self._read(2)
            return body
        if "content-length" in fields:
            return self._read(int(fields["content-length"]))
        raise Failed(Fate.WRONG, "neither Content-Length nor chunks")

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._receive()
        found, _, self._rest = self._rest.partition(end)
        return found + end

    def _read(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._receive()
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _receive(self) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("closed by the server")
        self._rest += data
        self._got += len(data)


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and fields; Failed if it is none."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or words[0] != "HTTP/1.1" or not words[1].isdigit():
        raise Failed(Fate.WRONG, f"no status line: {lines[0]!r}")
    fields = (line.partition(":") for line in lines[1:-2])
    return int(words[1]), {name.lower(): value.strip() for name, _, value in fields}


class Book:
    """The tally, and the lock that lets all visitors write to it."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.answered = threading.Event()
        self._lock = threading.Lock()
        self._began = self._last = time.monotonic()

    def note_stale(self) -> None:
        """A kept connection was found closed."""
        with self._lock:
            self.tally.stale += 1

    def note_correct(self, version: str, pid: str, seconds: float) -> None:
        """A request was answered."""
        now = time.monotonic()
        with self._lock:
            tally = self.tally
            tally.sent += 1
            tally.correct += 1
            tally.versions[version] = tally.versions.get(version, 0) + 1
            tally.pids.setdefault(pid, now)
            tally.slowest = max(tally.slowest, seconds)
            tally.longest_pause = max(tally.longest_pause, now - self._last)
            self._last = now
        self.answered.set()

    def note_failure(self, ask: Ask, fate: Fate, detail: str, *, again: Fate | None, told: bool) -> None:
        """An attempt failed; `again` is what came of the one retry, `told` whether a user would have seen it."""
        now = time.monotonic()
        with self._lock:
            tally = self.tally
            tally.sent += again is not Fate.CORRECT  # a correct retry is counted as the request's answer
            tally.failed[fate] += 1
            if told:
                tally.failed_after_retry[again or fate] += 1
            if len(tally.failures) < MOST_FAILURES:
                line = {
                    "at": now,
                    "fate": fate,
                    "detail": detail,
                    "request": f"{ask.method} {ask.path}",
                    "again": again,
                }
                tally.failures.append(line)

    def close(self) -> Tally:
        """The tally at the end."""
        now = time.monotonic()
        with self._lock:
            self.tally.longest_pause = max(self.tally.longest_pause, now - self._last)
            self.tally.seconds = now - self._began
            return self.tally


class Visitor(threading.Thread):
    """One client in a closed loop: the next request follows the answer to the last."""

    def __init__(self, plan: Plan, book: Book, number: int, leave: threading.Event) -> None:
        super().__init__(name=f"v{number}", daemon=True)
        self._plan, self._book, self._leave = plan, book, leave
        self._keep = number < plan.keeping
        self._dice = random.Random(plan.seed * 1000 + number)
        self._connection: Connection | None = None

    def run(self) -> None:
        """Until told to leave."""
        while not self._leave.wait(self._dice.expovariate(1 / self._plan.think)):
            if self._visit(next_ask(self._dice, self.name)) is Fate.REFUSED and self._plan.until_refused:
                break
        self._part()

    def _visit(self, ask: Ask) -> Fate:
        """One request, and once more if it fails on a connection that had served."""
        if self._connection is not None and self._connection.is_stale():
            self._book.note_stale()
            self._part()
        reused = self._connection is not None
        try:
            self._attempt(ask)
        except Failed as failed:
            self._part()
            if not reused or failed.fate is not Fate.RESET:
                self._book.note_failure(ask, failed.fate, str(failed), again=None, told=True)
                return failed.fate
            return self._retry(ask, failed)
        return Fate.CORRECT

    def _retry(self, ask: Ask, first: Failed) -> Fate:
        try:
            self._attempt(ask)
        except Failed as second:
            self._part()
            told = not (second.fate is Fate.REFUSED and self._plan.until_refused)
            self._book.note_failure(ask, first.fate, f"{first}; again: {second}", again=second.fate, told=told)
            return second.fate
        self._book.note_failure(ask, first.fate, str(first), again=Fate.CORRECT, told=False)
        return Fate.CORRECT

    def _attempt(self, ask: Ask) -> None:
        began = time.monotonic()
        if self._connection is None:
            self._connection = Connection(self._plan)
        status, body, kept = self._connection.ask(ask.octets(keep=self._keep))
        version, pid = ask.check(status, body)
        self._book.note_correct(version, pid, time.monotonic() - began)
        if not kept or not self._keep:
            self._part()

    def _part(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def main() -> None:
    """Runs the plan of the first argument."""
    plan = Plan(**json.loads(sys.argv[1]))
    book, leave = Book(), threading.Event()
    visitors = [Visitor(plan, book, number, leave) for number in range(plan.keeping + plan.closing)]
    for visitor in visitors:
        visitor.start()
    threading.Thread(target=lambda: (sys.stdin.read(), leave.set()), daemon=True).start()
    if book.answered.wait(plan.patience):
        print("loading", flush=True)
    ends = time.monotonic() + plan.seconds
    while any(visitor.is_alive() for visitor in visitors) and not leave.wait(0.05) and time.monotonic() < ends:
        continue
    leave.set()
    for visitor in visitors:
        visitor.join(2 * plan.patience)
    print(json.dumps(vars(book.close())), flush=True)


if __name__ == "__main__":
    main()
