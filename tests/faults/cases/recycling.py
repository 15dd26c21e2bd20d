"""Recycling: workers that have served enough, and workers that have grown too large, are replaced under load."""

import socket
import time

from tests.faults.load import Load
from tests.faults.scene import WORKERS, Case, Scene, most_at_once
from tests.faults.servers import Loaded

LEAK = 40
"""Megabytes that the application leaks before it is replaced."""


def max_requests(scene: Scene) -> None:
    """Every worker is replaced after some hundred requests."""
    enough = 500 if scene.rounds > 2 * WORKERS else 150
    with scene.serve(max_requests=enough, max_requests_jitter=enough // 5) as server:
        up = time.monotonic()
        with scene.load(server) as load:
            scene.eventually(
                f"{scene.rounds} workers were replaced",
                lambda: _born(server, up) >= scene.rounds,
                20.0 + 4 * scene.rounds,
            )
            load.stop()
            _judge(scene, server, load, up)


def max_memory(scene: Scene) -> None:
    """The application leaks until each worker is too large."""
    with scene.serve(max_memory=f"{_resident(scene) + LEAK}MiB") as server:
        up = time.monotonic()
        with scene.load(server) as load:
            deadline = time.monotonic() + 20 + 4 * scene.rounds
            while _born(server, up) < scene.rounds and time.monotonic() < deadline:
                ask(server, "/trouble/leak")
                time.sleep(0.01)
            scene.claim(f"{scene.rounds} workers were replaced", _born(server, up) >= scene.rounds, _born(server, up))
            load.stop()
            _judge(scene, server, load, up)


def _resident(scene: Scene) -> int:
    """Megabytes of a worker that has only just begun, from one that is started for it."""
    with scene.serve() as server:
        return max(memory(pid) for pid in server.crew()) >> 20


def _born(server: Loaded, since: float) -> int:
    return sum(at > since for at in server.diary("imported").values())


def _judge(scene: Scene, server: Loaded, load: Load, up: float) -> None:
    scene.claim_none_failed(load.tally)
    most = most_at_once(server.diary("import"), server.diary("imported"), up)
    scene.measure("workers booting at once, at most (count)", most)
    scene.claim("they do not boot together", most <= WORKERS // 2, most)


def ask(server: Loaded, path: str, patience: float = 10.0) -> bytes:
    """What one request on its own connection brings, as it stands on the wire."""
    with socket.create_connection(server.address, patience) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: faults\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while part := client.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def memory(pid: int) -> int:
    """Octets of a process that are resident; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:  # noqa: PTH123 - sampled often
            return int(statm.read().split()[1]) * 4096
    except (FileNotFoundError, ProcessLookupError):
        return 0


RECYCLING = (
    Case("max_requests", "`max_requests` 500 with jitter", max_requests, short=6, long=40),
    Case(
        "max_memory",
        "`max_memory`, the application leaks",
        max_memory,
        short=5,
        long=20,
        no_gunicorn="has no memory limit",
    ),
)
