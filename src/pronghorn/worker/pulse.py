"""The workers' heartbeats, in memory they share with the arbiter.

Written by each worker's main thread, so a beat proves that the process runs and that its interpreter lock can be had:
a stopped process and a C call that never gives the lock back both go silent. A thread that merely waits does not count;
that is the request deadline's matter.
"""

import mmap
import time

_WIDTH = 8
"""Bytes of one beat: a double, naturally aligned, so a reader never sees half of it."""


class Pulse:
    """`size` beats of shared memory, inherited over fork."""

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, size * _WIDTH)
        self._beats = memoryview(self._memory).cast("d")

    def beat(self, slot: int) -> None:
        """Says that the worker of `slot` is alive now."""
        self._beats[slot] = time.monotonic()

    def last(self, slot: int) -> float:
        """The monotonic second of the slot's last beat; 0 if there was none."""
        return float(self._beats[slot])

    def __repr__(self) -> str:
        return f"<Pulse of {len(self._beats)} workers>"
