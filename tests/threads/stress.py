"""Everything at once on the engine of a debug build, whose threads are held up where something changes hands.

As a program: `python -m tests.threads.stress SECONDS SEED`. The seed fixes what the clients send, what the application
does and which passages of a hand-over point are delayed; in which order threads come to them stays the scheduler's
choice, so a failure may need several runs to show again.
"""

import gc
import logging
import os
import random
import select
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pronghorn
from pronghorn import debug
from pronghorn.engine.scoreboard import Scoreboard, Slot
from pronghorn.errors import RequestTimeout
from pronghorn.testing import serve_engine
from tests.engine.test_connections import listener, url_of
from tests.support.apps import Environ, StartResponse
from tests.support.raw import Client, Response, wait_for

THREADS = 3
QUEUE = 6
QUEUE_TIMEOUT = 0.05
"""Seconds. So requests are turned away because there are too many, and because they have waited too long."""
PROCESSES = 2
CLIENTS = 6
"""In each process. Together more than there are threads and places in the queue."""

METHODS = {
    "hello": "GET", "block": "PUT", "compute": "POST", "echo": "PATCH", "stream": "DELETE", "large": "OPTIONS",
    "late": "REPORT", "file": "SEARCH", "cut": "PROPFIND", "aside": "LOCK",
}  # fmt: skip
"""What the application can do, each by a method of its own: so the scoreboard shows when two calls are mixed up."""

WEIGHTS = [8, 4, 3, 4, 3, 2, 1, 2, 1, 10]
FROM_FILES = ("file", "cut")

ABORTS = 0.15
"""The share of requests whose client leaves."""

KNOWN = 0.6
"""The share of requests whose route the engine knows: those that block are given away, those that compute wait."""

DAWDLES = 0.4
"""The share of answers that are taken in gulps at first, with pauses, before the rest is taken as it comes."""

PIECES = {"large": [10_000] * 4, "aside": [1_500, 1] * 12}
"""Of streams that are put aside to files while their thread goes on: together more than `send_buffer`. A small piece
waits in the thread's hand while what is in the file is read."""


class Application:
    """Answers `/KIND/ROUTE/TOKEN` with the token, in the way of its kind, and knows how many calls are inside.

    ROUTE is `known`, whose habits the engine learns, or different in each request.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        _, kind, _, token = environ["PATH_INFO"].split("/")
        if kind in FROM_FILES:
            return self.send_file(kind, token, environ, start_response)
        return self.call(kind, token, environ, start_response)

    def send_file(self, kind: str, token: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """sendfile runs without the interpreter lock; a deadline that passes about then closes the connection."""
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
        file.write(expected(kind, token.encode()))
        file.seek(0)
        if kind == "cut":
            pronghorn.timeout(0.02)
            time.sleep(self.chance.uniform(0.016, 0.02))
        start_response("200 OK", [("X-Token", token)])
        sent: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return sent

    def call(self, kind: str, token: str, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        """Every other kind, counted while it is inside."""
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            yield from self.answer(kind, token.encode(), environ, start_response)
        finally:
            with self.lock:
                self.inside -= 1

    def answer(self, kind: str, token: bytes, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        """What the call does, and its response."""
        duration = self.chance.random() * 0.012
        if kind == "late":
            pronghorn.timeout(0.02)
            while True:  # RequestTimeout ends it
                time.sleep(0.005)
        if kind == "block":
            time.sleep(duration)
        if kind == "compute":
            end = time.monotonic() + duration
            while time.monotonic() < end:
                pass
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Token", token.decode())])
        if kind == "echo":
            yield environ["wsgi.input"].read()
        elif kind == "stream":
            for _ in range(5):
                time.sleep(duration / 5)
                yield token
            time.sleep(duration / 5)
        else:
            yield from (token * times for times in PIECES.get(kind, [1]))


def expected(kind: str, token: bytes) -> bytes:
    """The body of the answer."""
    times = {"echo": 5_000, "stream": 5, "file": 20_000, "cut": 20_000}
    return token * times.get(kind, sum(PIECES.get(kind, [1])))


class Visitor:
    """One client: connections one after the other, requests of all kinds, and now and then it leaves."""

    def __init__(self, url: str, name: str, seed: int) -> None:
        self.url = url
        self.name = name
        self.chance = random.Random(f"{seed} {name}")
        self.count = 0
        self.answered = ""  # the kind that was answered last on this connection
        self.seen: Counter[str] = Counter()

    def visit(self, end: float) -> None:
        """Until `end`."""
        while time.monotonic() < end:
            slow = self.chance.random() < 0.3
            self.answered = ""
            with Client(self.url, receive_buffer=4096 if slow else None) as client:
                for _ in range(self.chance.randrange(1, 8)):
                    if not self.talk(client):
                        break

    def talk(self, client: Client) -> bool:
        """Some requests at once and their answers. False when the connection is not to be used any more."""
        kinds = self.chance.choices(list(METHODS), WEIGHTS, k=self.chance.choice([1, 1, 1, 4]))
        requests = [(kind, self.token()) for kind in kinds]
        octets = b"".join(self.request(kind, token) for kind, token in requests)
        if self.chance.random() < ABORTS:
            self.abort(client, octets)
            return False
        client.send_pieces(octets, [self.chance.randrange(len(octets))])
        for kind, token in requests:
            try:
                self.dawdle(client)
                response = client.read_response()
            except ConnectionError:
                # The deadline may pass when all of the file is sent, but the call has not said so.
                assert "cut" in {kind, self.answered}, (kind, self.answered)
                self.seen["cut"] += 1
                return False
            self.judge(kind, token, response)
            self.answered = kind
            if response.closes:
                return False
        return True

    def dawdle(self, client: Client) -> None:
        """Takes what has come in gulps, faster and more slowly; sometimes the rest is taken with a large window."""
        if self.chance.random() >= DAWDLES:
            return
        for _ in range(self.chance.randrange(1, 8)):
            gulp = self.chance.randrange(1, 30_000)
            if select.select([client.socket], [], [], self.chance.random() * 0.01)[0]:
                client.buffer += client.socket.recv(gulp)
            time.sleep(self.chance.random() * 0.006)
        if self.chance.random() < 0.5:
            client.hurry()

    def token(self) -> str:
        """Names one request of all."""
        self.count += 1
        return f"{self.name}.{self.count}"

    def request(self, kind: str, token: str) -> bytes:
        """Its octets."""
        body = expected(kind, token.encode()) if kind == "echo" else b""
        route = "known" if self.chance.random() < KNOWN else token
        return (
            f"{METHODS[kind]} /{kind}/{route}/{token} HTTP/1.1\r\nHost: test\r\nX-Request-ID: {token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def abort(self, client: Client, octets: bytes) -> None:
        """Leaves somewhere inside the request or its answer, half of the time by a reset."""
        self.seen["left"] += 1
        client.send(octets[: self.chance.randrange(1, 2 * len(octets))])
        time.sleep(self.chance.random() * 0.01)
        if self.chance.random() < 0.5:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def judge(self, kind: str, token: str, response: Response) -> None:
        """Raises AssertionError unless this is an answer to that request."""
        self.seen[str(response.status)] += 1
        if response.status == 503:
            assert response.headers["retry-after"] == "1", response
            time.sleep(self.chance.random() * 0.03)
        elif kind == "late" or response.status == 504:
            assert kind in {"late", "cut"}, (kind, token, response.head)
            assert response.status == 504, response
        else:
            assert response.status == 200, (kind, token, response.head)
            assert response.headers["x-token"] == token, (kind, token, response.head)
            assert response.body == expected(kind, token.encode()), (kind, token)


def visit_all(url: str, process: int, seed: int, end: float) -> str:
    """The clients of one process; what they saw, or what was wrong."""
    visitors = [Visitor(url, f"{process}-{number}", seed) for number in range(CLIENTS)]
    wrong: list[str] = []

    def guarded(visitor: Visitor) -> None:
        try:
            visitor.visit(end)
        except BaseException:  # noqa: BLE001  # told by the parent
            wrong.append(f"{visitor.name}: {traceback.format_exc()}")

    threads = [threading.Thread(target=guarded, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = sum((visitor.seen for visitor in visitors), Counter())
    return "\n".join(wrong) or f"fine: {dict(seen)}"


def counts_of(row: Slot) -> dict[str, int]:
    """What only grows while a worker lives."""
    return {name: getattr(row, name) for name in ("requests", "received", "sent", "handovers")} | row.incidents


def watch_board(board: Scoreboard, end: float) -> str:
    """Reads the scoreboard all the time, as the arbiter does; says which call was of two requests, or what shrank."""
    count, spooled, row = 0, 0, board.slot(0)
    before = counts_of(row)
    while time.monotonic() < end:
        for call in row.running():
            _, kind, _, token = call.path.split("/")
            if METHODS.get(kind) != call.method or call.request_id != token or call.client != "127.0.0.1":
                return f"the scoreboard shows parts of two calls: {call!r}"
            count += 1
        spooled = max(spooled, row.spooled)
        now = counts_of(row)
        if any(now[name] < before[name] for name in before):
            return f"a count of the scoreboard went back: {before}, and then {now}"
        before = now
    counted = {name: number for name, number in before.items() if number}
    if not count or not spooled:
        return f"the scoreboard showed {count} calls and at most {spooled} octets in files"
    return f"fine: {count} calls read, at most {spooled} octets in files, counted: {counted}"


class Child:
    """A process that does something and says how it went."""

    def __init__(self, work: Callable[[], str]) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            os.write(writer, work().encode()[:60_000])
            os._exit(0)
        os.close(writer)
        self.said = os.fdopen(reader)

    def verdict(self) -> str:
        """Waits for its end."""
        with self.said:
            said = self.said.read()
        _, status = os.waitpid(self.pid, 0)
        return said or f"a process of the stress ended without a word: {status}"


class Faults(logging.Handler):
    """What the log tells and should not: every failure that is not a deadline."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each record."""
        if record.exc_info and record.exc_info[0] is not RequestTimeout:
            self.told.append(self.format(record))


def nothing_lives() -> bool:
    """No connection, request, buffer or spool file is left."""
    gc.collect()
    return not any(debug.living().values())


def stress(seconds: float, seed: int) -> list[str]:
    """What each process says, and the server; all of them begin with `fine` when nothing was wrong."""
    board, bound, app = Scoreboard(1), listener(), Application(seed)
    end = time.monotonic() + seconds
    url = url_of(bound)
    # Before there is any thread. Whoever connects before the server runs waits in its accept queue.
    children = [Child(lambda: watch_board(board, end))]
    children += [Child(lambda number=number: visit_all(url, number, seed, end)) for number in range(PROCESSES)]
    debug.delay(seed=seed, one_in=12, most=0.005)
    faults = Faults()
    logging.getLogger("pronghorn.error").addHandler(faults)
    logging.getLogger("pronghorn.error").propagate = False
    row = board.slot(0)
    options = {
        "threads": THREADS, "queue_limit": QUEUE, "queue_timeout": QUEUE_TIMEOUT, "send_buffer": 65536,
        "forwarded_allow_ips": ("127.0.0.1",),
    }  # fmt: skip
    with serve_engine(app, [bound], slot=row, **options) as engine:
        said = [child.verdict() for child in children]
        answered = engine.requests_answered
    del engine
    wait_for(nothing_lives, f"{debug.living()} to live no more")
    figures = {
        "delays": debug.delays(), "hand-overs": row.handovers, "most calls": app.most,
        "turned away": row.incidents["turned_away"], "left": row.incidents["left"],
    }  # fmt: skip
    if row.connections:
        said.append(f"the scoreboard still counts {row.connections} connections")
    if row.buffered or row.spooled:
        said.append(f"the scoreboard still counts {row.buffered} octets in memory and {row.spooled} in files")
    debug.delay(seed=0, one_in=0, most=0)
    if app.inside or app.most > THREADS:
        said.append(f"{app.inside} calls never ended; at most {app.most} were inside at once, of {THREADS}")
    if not all((answered, *figures.values())):
        said.append(f"nothing was put to the test: {figures}")
    return [*said, *faults.told, f"fine: {figures}"]


def main() -> int:
    """0 if all was fine."""
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    print(f"stress for {seconds:g} s, seed {seed}", flush=True)
    if not debug.ENABLED:
        print("This is no debug build: nothing is delayed. `make stress` makes one.")
        return 2
    said = stress(seconds, seed)
    print("\n".join(said))
    return 0 if all(line.startswith("fine: ") for line in said) else 1


if __name__ == "__main__":
    sys.exit(main())
