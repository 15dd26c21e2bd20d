"""How workers die: what a death is called, which ones count as a crash loop, and how long to wait then."""

from dataclasses import replace
from signal import Signals

from pronghorn.arbiter.events import Exited
from pronghorn.arbiter.fleet import Fleet, Streak, Worker

BOOT_ATTEMPTS = 4
"""Waves of workers that may die before any was ever ready; then the command ends, so that a supervisor notices."""

LONGEST_DELAY = 30.0
"""Seconds. Gunicorn has no back-off, supervisors (systemd, Kubernetes) reach 10 s to 5 min."""

LONGEST_DELAY_OF_READY = 1.0
"""Seconds. A worker that was ready dies of a request: while nobody is forked, the same request sent again takes the
other workers one by one, and a longer wait makes an outage of it."""

SETTLED = 5.0
"""Seconds a worker born after the last young death must have served for the streak to be over."""

_QUIET_SIGNALS = {Signals.SIGTERM, Signals.SIGINT, Signals.SIGQUIT}


def back_off(length: int, longest: float = LONGEST_DELAY) -> float:
    """Seconds to wait after the `length`-th young death in a row: 0, 1, 2, 4 … at most `longest`."""
    return 0.0 if length <= 1 else min(longest, 2.0 ** min(length - 2, 10))


def count_death(fleet: Fleet, worker: Worker, now: float, *, young: bool) -> Streak:
    """The streak after the death of `worker`.

    Only a worker born after the last counted death lengthens it: eight workers that boot together and die of one
    broken import are one attempt, not eight.
    """
    streak = fleet.streak
    settled = any(
        other.ready_at is not None and other.born >= streak.since and now - other.ready_at >= SETTLED
        for other in (*fleet.workers, worker)
    )
    if settled:
        streak = Streak()
    if not young or worker.born < streak.since:
        return streak
    length = streak.length + 1
    longest = LONGEST_DELAY if worker.ready_at is None else LONGEST_DELAY_OF_READY
    return replace(streak, length=length, since=now, not_before=now + back_off(length, longest))


def is_quiet(event: Exited) -> bool:
    """Whether this is how a worker goes that was told to."""
    return (event.status == 0 and event.signal == 0) or event.signal in _QUIET_SIGNALS


def describe(event: Exited) -> str:
    """The death in words, as a predicate: `was killed by SIGKILL (perhaps out of memory)`."""
    if event.signal:
        try:
            name = Signals(event.signal).name
        except ValueError:
            name = f"signal {event.signal}"
        hint = " (perhaps out of memory: see dmesg)" if name == "SIGKILL" else ""
        return f"was killed by {name}{hint}"
    return "has left" if event.status == 0 else f"ended with exit status {event.status}"
