"""An app with two background threads that want to run every 50 ms; /ticks says how often they did.

One keeps an absolute schedule: a tick counts when it runs before the next is due. The other sleeps 50 ms in a loop, as
most applications do, so whatever delays it is lost for good.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from .hello import BODY, HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PERIOD = 0.05
kept = {"schedule": 0, "sleep": 0}


def follow_schedule() -> None:
    """Count the ticks of a fixed timetable that were not late by a whole period."""
    due = time.monotonic() + PERIOD
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        late = time.monotonic() - due
        if late < PERIOD:
            kept["schedule"] += 1
        due += PERIOD * (1 + int(late / PERIOD))


def follow_sleep() -> None:
    """Count the turns of a plain sleeping loop."""
    while True:
        time.sleep(PERIOD)
        kept["sleep"] += 1


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Hello, or at /ticks the clock and both counts."""
    if environ["PATH_INFO"] != "/ticks":
        start_response("200 OK", HEADERS)
        return [BODY]
    body = json.dumps(kept | {"clock": time.monotonic()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


for ticker in (follow_schedule, follow_sleep):
    threading.Thread(target=ticker, daemon=True).start()
