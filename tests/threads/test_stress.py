"""Calls and clients of all kinds at once, on threads that are held up on purpose."""

import random
import subprocess
import sys

import pytest

from pronghorn import debug

SECONDS = 6


@pytest.mark.skipif(not debug.ENABLED, reason="only the debug build delays hand-overs: make test-asan, make stress")
def test_every_request_has_its_own_answer_in_whatever_order_threads_run() -> None:
    """In a process of its own: what must hold and does not (pronghorn.debug) ends it."""
    seed = random.randrange(1 << 31)
    command = [sys.executable, "-m", "tests.threads.stress", str(SECONDS), str(seed)]
    done = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}:\n{done.stdout}\n{done.stderr[-5000:]}"
