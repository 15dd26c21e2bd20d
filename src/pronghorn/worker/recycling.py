"""When a worker has lived long enough or grown too large, and asks to be replaced."""

import logging
import os
import random
from dataclasses import dataclass

from pronghorn.linux import resident
from pronghorn.options import FleetOptions
from pronghorn.options.option import Unit
from pronghorn.settings.units import format_quantity

MIB = 1024 * 1024

log = logging.getLogger("pronghorn.error")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one worker may use up.

    Arguments:
        expires: monotonic second at which its lifetime ends; None: never.
        lifetime: the setting `max_lifetime`, in seconds.
        memory: bytes that may be resident; 0: any number.
    """

    expires: float | None
    lifetime: float
    memory: int

    @classmethod
    def of(cls, options: FleetOptions, now: float) -> "Allowance":
        """The allowance of a worker that is ready at `now`; its jitter is drawn here."""
        memory, used = options.max_memory, resident()
        if memory and used > memory:
            # Its replacement would be due at once as well, and so on for ever.
            text = "Worker %d has %.0f MiB when it starts, more than `max_memory`: it is not replaced for its memory"
            log.warning(text, os.getpid(), used / MIB)
            memory = 0
        if options.max_lifetime == 0:
            return cls(None, 0, memory)
        # Workers that started together would otherwise all be due together.
        jitter = random.uniform(0, options.max_lifetime_jitter)  # noqa: S311 - no secret
        return cls(now + options.max_lifetime + jitter, options.max_lifetime, memory)

    def exceeded(self, now: float) -> str:
        """Why the worker is due, with the figure; empty if it is not."""
        if self.expires is not None and now >= self.expires:
            limit = format_quantity(self.lifetime, Unit.SECONDS)
            return f"it has served for {limit} (setting `max_lifetime`)"
        if self.memory == 0 or (used := resident()) <= self.memory:
            return ""
        limit = format_quantity(self.memory, Unit.BYTES)
        return f"its memory is {used / MIB:.0f} MiB (setting `max_memory` {limit})"
