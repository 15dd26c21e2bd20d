"""What must be true of our own server under attack; `python -m tests.slow` fails where it is not."""

from collections.abc import Iterator

from pronghorn.options import EngineOptions
from tests.slow.attacks import ATTACKS
from tests.slow.report import Outcome
from tests.slow.tool import LIMITS

TIMES = 2
"""How many times as long as quietly a good client may wait for 99 of 100 answers."""

FLOOR_MS = 2.0
"""Milliseconds up to which it may in any case: a quiet answer takes 0.4, where one preemption of the client decides."""

SLACK = 20.0
"""Seconds behind its deadline in which the first attacker must have been cut.

Who reads slowly is ahead at first by what its receive buffer takes.
"""


def complaints(kind: str, outcome: Outcome, period: float) -> Iterator[str]:
    """Why an outcome is not good enough, in words.

    Arguments:
        period: seconds between two acts of an attacker.
    """
    if outcome.failure:
        yield outcome.failure
        return
    most = max(TIMES * outcome.quiet_p99_ms, FLOOR_MS)
    if outcome.p99_ms > most:
        yield f"a good client's p99 is {outcome.p99_ms:.1f} ms, and {most:.1f} ms are allowed"
    if not outcome.recovered:
        yield "it does not answer everybody when the attack is over"
    if outcome.ended:
        yield f"{outcome.ended} of its processes ended"
    deadline = deadline_of(kind, period)
    late = deadline is not None and (outcome.attacked_seconds or 0) > deadline + (SLACK if deadline else 0)
    if late and not outcome.cut:
        yield f"no attacker was cut off in {outcome.attacked_seconds:.0f} s, and all had {deadline:.0f} s at most"


def deadline_of(kind: str, period: float) -> float | None:
    """Seconds after which our defaults cut off who attacks so; None: never, or nobody says."""
    if kind in ATTACKS:
        return ATTACKS[kind].deadline(period)
    limit = LIMITS.get(kind.partition(" ")[2])
    return float(getattr(EngineOptions(), limit)) if limit else None
