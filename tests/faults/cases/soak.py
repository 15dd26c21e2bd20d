"""Everything at random, for long, on a Flask application: what is left over must be nothing, and nothing may grow."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.cases.clients import HEAD, STAGES
from tests.faults.cases.recycling import ask, memory
from tests.faults.cases.stuck import Stuck
from tests.faults.client import Tally
from tests.faults.scene import THREADS, WORKERS, Case, Scene
from tests.faults.servers import Loaded

WARM_UP = 0.25
"""The first part of the time, in which memory may grow."""

SLOPE = 1.0
"""MiB an hour that a process may grow by."""

EVERY = 2.0
"""Seconds between two faults."""

TIMEOUT = 2


class Faults:
    """The faults of a soak. A fault that takes requests with it notes when, and how many at most."""

    def __init__(self, scene: Scene, server: Loaded) -> None:
        self.scene, self.server = scene, server
        self.version = 1
        self.excuses: list[tuple[float, float, int]] = []
        """From when to when so many requests may fail."""
        self.diary: list[tuple[float, str]] = []
        """When each fault began."""

    def excuse(self, seconds: float, requests: int) -> None:
        """For what a fault takes."""
        now = time.monotonic()
        self.excuses.append((now - 0.1, now + seconds, requests))

    def reload(self) -> None:
        """The code changes."""
        self.version += 1
        self.scene.release(self.version)
        self.server.kill(signal.SIGHUP)

    def broken_reload(self) -> None:
        """And is broken, for a moment."""
        self.scene.release(0, "def broken(:")
        self.server.kill(signal.SIGHUP)
        time.sleep(1)
        self.scene.release(self.version)
        self.server.kill(signal.SIGHUP)

    def kill_worker(self) -> None:
        """Without a warning."""
        self.excuse(2.0, THREADS)
        self.server.kill(signal.SIGKILL, self.scene.dice.choice(sorted(self.server.crew())))

    def grow_and_shrink(self) -> None:
        """TTIN, TTOU."""
        self.server.kill(signal.SIGTTIN)
        self.server.kill(signal.SIGTTOU)

    def rotate(self) -> None:
        """The access log is moved away, and opened anew."""
        (self.scene.folder / "access.log").rename(self.scene.folder / "access.log.1")
        self.server.kill(signal.SIGUSR1)
        self.scene.eventually("a new access log", (self.scene.folder / "access.log").exists)

    def upgrade(self) -> None:
        """The arbiter is replaced."""
        self.version += 1
        self.scene.release(self.version)
        self.server.upgrade(WORKERS)

    def exhaust(self) -> None:
        """A request asks for more memory than there is."""
        with contextlib.suppress(OSError):
            ask(self.server, "/trouble/allocate")

    def crash(self) -> None:
        """By a request."""
        self.excuse(2.0, THREADS)
        with contextlib.suppress(OSError):
            ask(self.server, "/trouble/segfault")

    def stick(self) -> None:
        """A request that never ends; its worker is replaced, and what runs beside it may be cut when it leaves."""
        Stuck(self.server, "/trouble/sleep").join(TIMEOUT + 5)

    def leave(self) -> None:
        """Clients that do."""
        for stage in (*STAGES, HEAD):
            with contextlib.suppress(OSError), socket.create_connection(self.server.address, 5) as client:
                client.sendall(stage)

    def unexplained(self, tally: Tally) -> list[dict[str, object]]:
        """The failures that no fault accounts for."""
        excuses = [[begin, end, most] for begin, end, most in self.excuses]
        left = []
        for line in tally.failures:
            if line["again"] == "correct":
                continue
            for excuse in excuses:
                if excuse[0] <= float(str(line["at"])) <= excuse[1] and excuse[2] > 0:
                    excuse[2] -= 1
                    break
            else:
                left.append(line | {"soon after": self.soon_before(float(str(line["at"])))})
        return left

    def soon_before(self, at: float) -> str:
        """The faults of the fifteen seconds before a moment."""
        return ", ".join(f"{name} {at - began:.1f} s" for began, name in self.diary if 0 <= at - began <= 15)


def soak(scene: Scene) -> None:
    """A fault every two seconds."""
    with (
        scene.serve(
            application="shop:app", timeout=TIMEOUT, graceful_timeout=10, accesslog="access.log",
            max_requests=3000, max_requests_jitter=1000,
        ) as server,
        scene.load(server, think=0.05, seconds=scene.rounds + 120) as load,
    ):  # fmt: skip
        faults = Faults(scene, server)
        every: list[Callable[[], None]] = [
            faults.reload, faults.broken_reload, faults.kill_worker, faults.grow_and_shrink, faults.rotate,
            faults.crash, faults.stick, faults.leave, faults.upgrade, faults.exhaust,
        ]  # fmt: skip
        # An arbiter that has come by an upgrade keeps its end of the link to the one before, the first has none.
        faults.upgrade()
        scene.eventually("all workers are there at the start", lambda: len(server.crew()) == WORKERS, 60)
        held = descriptors(server.arbiter)
        samples = _play(scene, server, faults, every)
        faults.reload()
        scene.eventually("all workers are there at the end", lambda: len(server.crew()) == WORKERS, 60)
        scene.eventually("the arbiter holds no more descriptors", lambda: descriptors(server.arbiter) <= held)
        load.stop()
        unexplained = faults.unexplained(load.tally)
        scene.claim("every failure is explained by a fault", not unexplained, unexplained[:5])
        scene.claim("every answer is right", load.tally.failed["wrong"] == 0, load.tally.failures[:5])
        _claim_flat(scene, samples)


def _play(
    scene: Scene, server: Loaded, faults: Faults, every: list[Callable[[], None]]
) -> list[tuple[float, int, int]]:
    """Faults in the order of the seed; samples of (second, the arbiter's memory, the largest young worker's memory)."""
    began = time.monotonic()
    samples = []
    while (now := time.monotonic() - began) < scene.rounds:
        fault = scene.dice.choice(every)
        faults.diary.append((time.monotonic(), fault.__name__))
        fault()
        largest = max((memory(pid) for pid in server.crew()), default=0)
        samples.append((now, memory(server.arbiter), largest))
        time.sleep(EVERY)
    return samples


def _claim_flat(scene: Scene, samples: list[tuple[float, int, int]]) -> None:
    warm = [sample for sample in samples if sample[0] >= WARM_UP * scene.rounds]
    for column, name in ((1, "arbiter"), (2, "workers")):
        slope = growth([(sample[0], sample[column]) for sample in warm])
        scene.measure(f"{name}: growth of resident memory (MiB/h)", slope)
        if scene.rounds >= 600:
            scene.claim(f"{name}: at most {SLOPE:g} MiB/h", slope <= SLOPE, slope)


def growth(samples: list[tuple[float, int]]) -> float:
    """The slope of the least squares, in MiB an hour, of (second, octets)."""
    count = len(samples)
    if count < 2:
        return 0.0
    mean_x = sum(x for x, _ in samples) / count
    mean_y = sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread * 3600 / (1 << 20)


def descriptors(pid: int) -> int:
    """How many a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


SOAK = Case(
    "soak",
    "everything at random, Flask application",
    soak,
    short=10,
    long=1800,
    no_gunicorn="has no deadline of a request",
)
