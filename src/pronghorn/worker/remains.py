"""In the debug build: what a worker still holds when its engine has ended."""

import gc
import logging
import os
import time

from pronghorn import debug
from pronghorn.engine.loop import Engine

PATIENCE = 2.0
"""Seconds that threads whose call has ended have for their last steps."""

KEPT = frozenset({"engines", "buffers"})
"""What rightly lives: the engine is held by whoever calls here, and the buffers of its threads by the engine."""

log = logging.getLogger("pronghorn.error")


def report_remains(engine: Engine) -> None:
    """Writes a critical line if connections, requests or their files still live though no call of `engine` does.

    A call that is still inside the application holds its request rightly. Costs nothing in any other build.
    """
    if not debug.ENABLED:
        return
    until = time.monotonic() + PATIENCE
    while remains := {what: count for what, count in debug.living().items() if count and what not in KEPT}:
        if engine.calls_inside:
            return
        if time.monotonic() > until:
            log.critical("Worker %d ends and still holds %s", os.getpid(), remains)
            return
        gc.collect()  # an application may have put its request into a cycle
        time.sleep(0.01)
