"""Clients that leave at any moment: nothing of them stays."""

import contextlib
import os
import socket
import struct
import time

from tests.faults.cases.recycling import memory
from tests.faults.scene import Case, Scene
from tests.faults.servers import Loaded
from tests.support.sanitized import ADDRESS_SANITIZED

HEAD = b"PUT /page/aborted/200000 HTTP/1.1\r\nHost: faults\r\nContent-Length: 100000\r\n\r\n"
STAGES = (
    b"",
    HEAD[:20],
    HEAD,
    HEAD + b"x" * 50_000,
    HEAD + b"x" * 100_000,
    b"GET /slow/aborted/100000/50 HTTP/1.1\r\nHost: faults\r\n\r\n",
    b"GET /stream/aborted/200000 HTTP/1.1\r\nHost: faults\r\n\r\n",
)
"""What was sent when the client leaves."""

GROWTH = 4 << 20
"""Octets a worker may grow by; one connection that is forgotten costs some hundred of them, each time."""


def aborts(scene: Scene) -> None:
    """Hundreds of clients a round leave with a reset or an end, at every stage."""
    with scene.serve() as server:
        crew, before = server.crew(), _descriptors(server)
        with scene.load(server, keeping=4, closing=4) as load:
            _abort(scene, server, 100 * len(STAGES))  # what is allocated once and kept
            large = _largest(server)
            _abort(scene, server, 50 * len(STAGES) * scene.rounds)
            load.stop()
            scene.claim_none_failed(load.tally)
        scene.eventually("no descriptor stays", lambda: _descriptors(server) <= before, 10)
        grown = _largest(server) - large
        scene.measure("a worker has grown by at most (KiB)", grown / 1024)
        if not ADDRESS_SANITIZED:  # it keeps what is freed for a while
            scene.claim("no memory stays", grown <= GROWTH, grown)
        scene.claim("no worker has died", server.crew() == crew, server.text[-1500:])
        scene.claim("no traceback", "Traceback" not in server.text, server.text[-1500:])


def _abort(scene: Scene, server: Loaded, count: int) -> None:
    for number in range(count):
        with socket.create_connection(server.address, 10) as client, contextlib.suppress(OSError):
            client.sendall(STAGES[number % len(STAGES)])
            if scene.dice.random() < 0.2:
                time.sleep(0.002)
            if scene.dice.random() < 0.3:
                client.setblocking(False)
                client.recv(1000)
            if scene.dice.random() < 0.5:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _descriptors(server: Loaded) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.crew())  # noqa: PTH208 - only their number


def _largest(server: Loaded) -> int:
    return max(memory(pid) for pid in server.crew())


CLIENTS = (Case("aborts", "clients leave at every stage of a request", aborts, short=2, long=286),)
