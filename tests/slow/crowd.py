"""`python -m tests.slow.crowd KIND HOST PORT COUNT PERIOD AGAIN`: so many slow clients, until standard input ends.

It prints a line as soon as all are connected, or no more can be, and at the end what became of them, as JSON. With
AGAIN `again` who is cut off comes again, as many as there are clients in each period, so that the attack goes on.
"""

import contextlib
import json
import os
import resource
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.slow.attacks import ATTACKS, BUFFER, Attack

ROOT = Path(__file__).parents[2]
RAMP = 100
"""Ticks in which all of them begin to connect,"""

LEAST = 25
"""and how many begin in one at least."""

TICK = 0.05
"""Seconds between two looks at who is due."""

RETURN = 0.005
"""Seconds between two looks at who comes again: not many at once, or a good client would wait for all of them."""

PATIENCE = 15.0
"""Seconds after which those that are not connected are given up."""


@dataclass
class Client:
    """One of them."""

    socket: socket.socket
    due: float
    at: int = 0
    connected: bool = False


class Crowd:
    """All of them, in one process."""

    def __init__(self, attack: Attack, address: tuple[str, int], count: int, period: float, *, again: bool) -> None:
        self.attack, self.address, self.count, self.period, self.again = attack, address, count, period, again
        self.epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.opened = self.cut = self.refused = 0

    def connect(self) -> None:
        """Begins another connection."""
        sock = socket.socket()
        sock.setblocking(False)
        if self.attack.reads_slowly:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        # More clients than one address has ports need several.
        sock.bind((f"127.0.0.{1 + self.opened % 8}", 0))
        sock.connect_ex(self.address)
        self.opened += 1
        # Not all in the same moment.
        due = time.monotonic() + self.period * (self.opened % 97) / 97
        self.clients[sock.fileno()] = Client(sock, due)
        self.epoll.register(sock, select.EPOLLOUT | select.EPOLLRDHUP)

    def run(self) -> None:
        """Until standard input ends."""
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        began, told, next_burst = time.monotonic(), False, 0.0
        while True:
            wanted = self.count - (len(self.clients) if self.again else self.opened)
            pause = RETURN if wanted and self.opened >= self.count else TICK
            if time.monotonic() >= next_burst:
                next_burst = time.monotonic() + pause
                for _ in range(min(self.burst, wanted)):
                    self.connect()
            if not told and (self.are_there or time.monotonic() > began + PATIENCE):
                told = True
                print(json.dumps({"connected": self.established + self.cut}), flush=True)
            for fd, events in self.epoll.poll(pause):
                if fd == sys.stdin.fileno():
                    return
                self.hear(fd, events)
            self.act()

    @property
    def burst(self) -> int:
        """How many connect at once."""
        if self.opened < self.count:
            return max(LEAST, self.count // RAMP)
        return max(1, int(self.count * RETURN / self.period))

    @property
    def established(self) -> int:
        """How many are connected."""
        return sum(client.connected for client in self.clients.values())

    @property
    def are_there(self) -> bool:
        """All have come, and some perhaps gone."""
        return self.opened >= self.count and self.established == len(self.clients)

    def hear(self, fd: int, events: int) -> None:
        """Connected, cut off, or something to read."""
        client = self.clients.get(fd)
        if client is None:
            return
        if events & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP):
            self.forget(client)
        elif not client.connected:
            client.connected = True
            self.epoll.modify(fd, select.EPOLLRDHUP | (0 if self.attack.reads_slowly else select.EPOLLIN))
            self.send(client, self.attack.first)
        else:
            with contextlib.suppress(OSError):
                client.socket.recv(1 << 16)

    def act(self) -> None:
        """What is due."""
        now = time.monotonic()
        for client in list(self.clients.values()):
            if not client.connected or client.due > now:
                continue
            client.due = now + self.period
            if self.attack.again:
                at = client.at % len(self.attack.again)
                self.send(client, self.attack.again[at : at + self.attack.piece])
                client.at = at + self.attack.piece
            if self.attack.sip:
                with contextlib.suppress(OSError):
                    client.socket.recv(self.attack.sip)

    def send(self, client: Client, data: bytes) -> None:
        """Sends what goes out at once."""
        with contextlib.suppress(OSError):
            client.socket.send(data)

    def forget(self, client: Client) -> None:
        """One that the server has cut off, or never took."""
        self.epoll.unregister(client.socket)
        del self.clients[client.socket.fileno()]
        client.socket.close()
        if client.connected:
            self.cut += 1
        else:
            self.refused += 1


class Attackers:
    """A crowd in a process of its own, while the block runs."""

    def __init__(self, kind: str, address: tuple[str, int], count: int, period: float, *, again: bool) -> None:
        words = (kind, *address, count, period, "again" if again else "once")
        command = [sys.executable, "-m", "tests.slow.crowd", *map(str, words)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.connected = 0
        self.result: dict[str, Any] = {}

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        self.connected = json.loads(self.process.stdout.readline())["connected"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.result = json.loads(self.process.communicate()[0])


def main() -> None:
    """The process."""
    kind, host, port, count, period, again = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if again == "again":
        # It shares a core with the good client, who is to wait for the server only: real attackers are elsewhere.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    crowd = Crowd(ATTACKS[kind], (host, int(port)), int(count), float(period), again=again == "again")
    crowd.run()
    held = crowd.established
    print(json.dumps({"opened": crowd.opened, "cut": crowd.cut, "refused": crowd.refused, "held": held}), flush=True)
    os._exit(0)  # without closing thousands of sockets one by one


if __name__ == "__main__":
    main()
