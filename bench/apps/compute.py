"""An app that computes in pure Python at /compute and answers at once elsewhere; run as a program it calibrates.

The work is a fixed number of turns, not a fixed time: a server that makes Python slower must be seen to.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .hello import BODY, HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MILLISECONDS = 5
TURNS = int(os.environ.get("BENCH_TURNS", "100000"))


def compute(turns: int) -> int:
    """Work that holds the interpreter and touches no memory worth naming."""
    total = 0
    for turn in range(turns):
        total = (total * 31 + turn) & 0xFFFFFF
    return total


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Hello, computed first at /compute."""
    if environ["PATH_INFO"] == "/compute":
        compute(TURNS)
    start_response("200 OK", HEADERS)
    return [BODY]


def calibrate() -> int:
    """How many turns take MILLISECONDS on this machine: the best of several tries."""
    turns, best = 50_000, float("inf")
    for _ in range(20):
        start = time.thread_time()
        compute(turns)
        best = min(best, time.thread_time() - start)
    return round(turns * MILLISECONDS / 1000 / best)


if __name__ == "__main__":
    print(calibrate())
