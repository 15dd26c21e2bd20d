"""Decisions about an upgrade in place (USR2) and a pause (WINCH). Pure, as `decide`, which calls them.

A new arbiter, the *successor*, is started beside this one and inherits the listeners. As long as it is not ready
nothing changes here. Once it is, this one pauses: its workers drain, and when they are gone it leaves with status 0.
Until then all can be taken back: HUP, or the end of the successor, starts the workers again. WINCH says that the
operator wants to say the last word, as with Gunicorn and nginx: then this arbiter stays, without workers, until it is
told to stop or to go on.
"""

# ruff: noqa: ARG001 - every handler takes the same three arguments, whether it needs them or not

from dataclasses import replace

from pronghorn.arbiter.actions import Action, Level, Order, Promote, ReportReady, Say, StartSuccessor, TellSuccessor
from pronghorn.arbiter.deaths import describe
from pronghorn.arbiter.events import (
    Exited,
    Pause,
    PredecessorGone,
    SuccessorEnded,
    SuccessorFailed,
    SuccessorReady,
    SuccessorStarted,
    Upgrade,
)
from pronghorn.arbiter.fleet import Fleet, Phase, Stage, Successor

PATIENCE = 3.0
"""Seconds between asking a successor that is late to stop and killing it."""

Decision = tuple[Fleet, list[Action]]


def on_upgrade(fleet: Fleet, event: Upgrade, now: float) -> Decision:
    """USR2."""
    why = _obstacle(fleet)
    if why:
        return fleet, [Say(Level.WARNING, f"USR2 is ignored: {why}")]
    fleet = replace(fleet, successor=Successor(kill_at=now + fleet.policy.boot_timeout), failure="")
    return fleet, [StartSuccessor()]


def _obstacle(fleet: Fleet) -> str:
    if fleet.phase is not Phase.SERVING or fleet.drain_at is not None:
        return "the server is stopping"
    if fleet.irreplaceable:
        return fleet.irreplaceable
    if fleet.predecessor:
        return f"the old arbiter (pid {fleet.predecessor}) of the last upgrade has not left yet"
    if fleet.successor and fleet.successor.ready:
        return f"the new arbiter ({fleet.successor.name}) serves already"
    if fleet.successor:
        return f"an upgrade is under way, the new arbiter ({fleet.successor.name}) starts"
    return ""


def on_successor_started(fleet: Fleet, event: SuccessorStarted, now: float) -> Decision:
    """The new process exists."""
    if fleet.successor is None:
        return fleet, []
    fleet = replace(fleet, successor=replace(fleet.successor, pid=event.pid))
    return fleet, [Say(Level.INFO, f"upgrading: the new arbiter (pid {event.pid}) starts beside this one")]


def on_successor_ready(fleet: Fleet, event: SuccessorReady, now: float) -> Decision:
    """All workers of the new arbiter are ready: it serves, and this one makes room."""
    successor = fleet.successor
    if successor is None or successor.ready:
        return fleet, []
    fleet = replace(fleet, successor=replace(successor, ready=True, kill_at=None, why=""), paused=True)
    if fleet.phase is not Phase.SERVING:
        return fleet, []
    rest = "then it waits for TERM or HUP" if successor.manual else "and leaves"
    text = f"upgraded: the new arbiter ({successor.name}) is ready; this one drains its workers {rest}"
    return fleet, [Say(Level.INFO, text)]


def on_successor_failed(fleet: Fleet, event: SuccessorFailed, now: float) -> Decision:
    """It says why it cannot serve; its end follows, unless it could not even be forked."""
    successor = fleet.successor
    if successor is None:
        return fleet, []
    if successor.pid is None:
        return _failed(replace(fleet, successor=None), event.why)
    return replace(fleet, successor=replace(successor, why=successor.why or event.why)), []


def on_successor_ended(fleet: Fleet, event: SuccessorEnded, now: float) -> Decision:
    """The new arbiter is gone; whoever was paused for it goes on."""
    successor = fleet.successor
    if successor is None:
        return fleet, []
    fleet = replace(fleet, successor=None)
    if fleet.phase is not Phase.SERVING:
        return fleet, []
    end = describe(Exited(event.pid, event.status, event.signal))
    if not successor.ready:
        hint = "; its standard error says more" if event.status and not successor.why else ""
        return _failed(fleet, successor.why or f"the new arbiter ({successor.name}) {end} before it was ready{hint}")
    quiet = not event.status and not event.signal
    goes_on = "this one starts its workers again" if fleet.paused else "this one goes on"
    text = f"the new arbiter ({successor.name}) {end}: {goes_on}"
    return replace(fleet, paused=False), [Say(Level.INFO if quiet else Level.ERROR, text)]


def _failed(fleet: Fleet, why: str) -> Decision:
    outcome = "stays paused" if fleet.paused else "goes on serving unchanged"
    text = f"upgrade failed: {why}"
    return replace(fleet, failure=text), [Say(Level.ERROR, f"{text}; this arbiter {outcome}")]


def on_pause(fleet: Fleet, event: Pause, now: float) -> Decision:
    """WINCH."""
    if fleet.phase is not Phase.SERVING or fleet.drain_at is not None:
        return fleet, []
    successor = fleet.successor
    if successor is not None:
        fleet = replace(fleet, successor=replace(successor, manual=True))
        if not successor.ready:
            text = "WINCH: the workers drain once the new arbiter is ready; this one then waits for TERM or HUP"
            return fleet, [Say(Level.INFO, text)]
    if fleet.paused and (successor is None or successor.manual):
        return fleet, []
    text = "WINCH: the workers drain, the arbiter stays; HUP starts them again"
    return replace(fleet, paused=True), [Say(Level.INFO, text)]


def resume(fleet: Fleet) -> Decision:
    """HUP while paused: the workers come back with the settings they had.

    Nothing is read anew, as with nginx: whoever rolls back an upgrade does not want what the disk holds now.
    """
    fleet = replace(fleet, paused=False)
    if fleet.successor:
        fleet = replace(fleet, successor=replace(fleet.successor, manual=True))
    text = f"HUP: generation {fleet.generation} starts its workers again, with the settings it had"
    return fleet, [Say(Level.INFO, text)]


def on_predecessor_gone(fleet: Fleet, event: PredecessorGone, now: float) -> Decision:
    """The arbiter that started this one has left, as planned or by an accident; this one is the only one now."""
    if not fleet.predecessor:
        return fleet, []
    text = f"the old arbiter (pid {fleet.predecessor}) has left"
    return replace(fleet, predecessor=0), [Promote(), Say(Level.INFO, text)]


def announce(fleet: Fleet) -> Decision:
    """Tells the predecessor, once, that every worker wanted is ready: what it gives up then is all replaced."""
    ready = sum(worker.stage is Stage.READY for worker in fleet.fresh())
    if not fleet.predecessor or fleet.announced or ready < fleet.size:
        return fleet, []
    return replace(fleet, announced=True), [ReportReady()]


def expire(fleet: Fleet, now: float) -> Decision:
    """Stops a successor that was not ready in time; kills it if it does not stop."""
    successor = fleet.successor
    if successor is None or successor.pid is None or successor.kill_at is None or now < successor.kill_at:
        return fleet, []
    if not successor.late:
        why = f"the new arbiter ({successor.name}) was not ready after {fleet.policy.boot_timeout:g} s (boot_timeout)"
        late = replace(successor, late=True, why=successor.why or why, kill_at=now + PATIENCE)
        return replace(fleet, successor=late), [TellSuccessor(Order.QUIT)]
    return replace(fleet, successor=replace(successor, kill_at=None)), [TellSuccessor(Order.KILL)]


def forgive(fleet: Fleet, lost: float) -> Fleet:
    """Gives the successor the seconds in which this arbiter did not run; it was mostly stopped as well."""
    successor = fleet.successor
    if successor is None or successor.kill_at is None:
        return fleet
    return replace(fleet, successor=replace(successor, kill_at=successor.kill_at + lost))


def release(fleet: Fleet) -> Fleet:
    """This arbiter is told to stop: there will be nobody else, so the successor gets all the time it needs."""
    successor = fleet.successor
    if successor is None or successor.late:
        return fleet
    return replace(fleet, successor=replace(successor, kill_at=None))


def stands_back(fleet: Fleet) -> bool:
    """Whether the other of two arbiters serves: this one does not yet, or has made room."""
    return bool(fleet.predecessor and not fleet.announced) or (fleet.paused and fleet.successor is not None)


def may_leave(fleet: Fleet) -> bool:
    """Whether this arbiter has handed everything over: its successor serves and the last worker is gone."""
    successor = fleet.successor
    return fleet.paused and not fleet.workers and successor is not None and successor.ready and not successor.manual
