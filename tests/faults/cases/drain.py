"""TERM under load: what was accepted is answered, and the server leaves in time."""

import signal
import time

from tests.faults.client import Tally
from tests.faults.scene import Case, Scene

GRACE = 5


def at_once(scene: Scene) -> None:
    """TERM, again and again, each time to a server under load."""
    for _ in range(scene.rounds):
        _term(scene, 0.0)


def with_delay(scene: Scene) -> None:
    """TERM with `drain_delay` 2 s: load balancers have time to look elsewhere."""
    for _ in range(scene.rounds):
        _term(scene, 2.0)


def _term(scene: Scene, delay: float) -> None:
    settings = {"graceful_timeout": GRACE} | ({"drain_delay": delay} if delay else {})
    with (
        scene.serve(**settings) as server,
        scene.load(server, until_refused=True, keeping=16, closing=16) as load,
    ):
        time.sleep(1)
        began = time.monotonic()
        server.kill(signal.SIGTERM)
        ended = scene.eventually("it exits", lambda: server.process.poll() is not None, GRACE + delay + 5)
        took = time.monotonic() - began
        scene.measure(f"TERM to exit (drain_delay {delay:g})", took)
        scene.claim("within graceful_timeout", ended and delay <= took <= GRACE + delay, took)
        scene.claim("its exit status is 0", server.process.poll() == 0, server.process.poll())
        load.stop()
        _claim_accepted(scene, load.tally)


def _claim_accepted(scene: Scene, tally: Tally) -> None:
    """A connection that the kernel refused was never accepted; everything else counts."""
    lost = {fate: count for fate, count in tally.failed_after_retry.items() if fate != "refused"}
    scene.claim("nothing that was accepted failed", not lost, lost)
    refused = tally.failed_after_retry["refused"]
    scene.finding.failed -= tally.failed["refused"]
    scene.finding.failed_after_retry -= refused


DRAIN = (
    Case("term", "TERM under load", at_once, short=1, long=10),
    Case("term_delayed", "TERM under load, `drain_delay` 2 s", with_delay, short=1, long=5, no_gunicorn="has no delay"),
)
