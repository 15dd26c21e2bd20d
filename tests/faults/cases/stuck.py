"""Requests that never end: the deadline of a request, and who else it touches."""

import threading
import time

from tests.faults.cases.recycling import ask
from tests.faults.scene import THREADS, WORKERS, Case, Scene
from tests.faults.servers import Loaded

TIMEOUT = 2
PATIENCE = 8.0
"""Seconds a client waits for its stuck request; beyond them nobody would."""


class Stuck(threading.Thread):
    """One request that the application never answers."""

    def __init__(self, server: Loaded, path: str) -> None:
        super().__init__(daemon=True)
        self._server, self._path = server, path
        self.status = "none"
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        """Asks, and waits."""
        began = time.monotonic()
        try:
            words = ask(self._server, self._path, PATIENCE).split(b" ", 2)
            self.status = words[1].decode() if len(words) > 1 else "closed"
        except ConnectionError:
            self.status = "reset"
        except TimeoutError:
            self.status = f"none in {PATIENCE:g} s"
        self.seconds = time.monotonic() - began


def sleeping(scene: Scene) -> None:
    """One thread in `time.sleep(3600)`, one in a C call of a library; both let the interpreter go."""
    _play(scene, ("sleep", "library"), lost=0)


def computing(scene: Scene) -> None:
    """One thread in `while True: pass` that takes every exception."""
    _play(scene, ("compute",), lost=THREADS)


def holding(scene: Scene) -> None:
    """One thread in a C call that never lets the interpreter go: the whole worker stands still."""
    _play(scene, ("hold",), lost=THREADS)


def _play(scene: Scene, troubles: tuple[str, ...], lost: int) -> None:
    with scene.serve(timeout=TIMEOUT, graceful_timeout=3) as server, scene.load(server) as load:
        for _ in range(scene.rounds):
            before = server.crew()
            stuck = [Stuck(server, f"/trouble/{trouble}") for trouble in troubles]
            for request in stuck:
                request.join(PATIENCE + 5)
            for trouble, request in zip(troubles, stuck, strict=True):
                scene.measure(f"{trouble}: until the answer {request.status}", request.seconds)
                if lost == 0:
                    scene.claim(f"{trouble}: answered 504", request.status == "504", request.status)
                soon = request.seconds <= TIMEOUT + 4
                scene.claim(f"{trouble}: ended by the deadline", soon, f"{request.seconds:.1f} s")
            scene.eventually(
                "the workers with stuck threads are replaced",
                lambda before=before: len(server.crew()) == WORKERS and server.crew() != before,
                15,
            )
        scene.claim("the log shows where", "in never_" in server.text, server.text[-1500:])
        load.stop()
        scene.claim_none_failed(load.tally, lost * scene.rounds)


STUCK = (
    Case("sleeping", "a thread in `sleep(3600)`, one in a C call; `timeout` 2 s", sleeping, short=1, long=3),
    Case("computing", "a thread in `while True: pass`; `timeout` 2 s", computing, short=1, long=3),
    Case("holding", "a thread in a C call that holds the interpreter; `timeout` 2 s", holding, short=1, long=3),
)
