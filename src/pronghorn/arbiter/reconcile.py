"""What is against what should be: drains what is too many, forks what is missing, kills what is late. Pure."""

from dataclasses import replace

from pronghorn.arbiter import upgrade
from pronghorn.arbiter.actions import Action, Discard, Leave, Level, Order, Say, Send, Spawn, StopLoading
from pronghorn.arbiter.fleet import Fleet, Phase, Stage, Worker

QUICK = 3.0
"""Seconds between telling a worker to quit at once and killing it."""

LAST_MOMENT = 1.0
"""Seconds beyond graceful_timeout until a draining worker is killed: at the timeout it cuts off what runs itself, and
this is its time to run the application's exit functions."""

_UNREADY = (Stage.FORKING, Stage.BOOTING)


def reconcile(fleet: Fleet, now: float) -> tuple[Fleet, list[Action]]:
    """The fleet and the orders that bring it nearer to what is wanted."""
    actions: list[Action] = []
    if fleet.phase is Phase.SERVING and fleet.paused:
        fleet, more = _empty(fleet, now)
        actions += more
    elif fleet.phase is Phase.SERVING:
        for step in (_drain_surplus, _fork_missing, _fork_candidate):
            fleet, more = step(fleet, now)
            actions += more
    elif fleet.phase is Phase.STOPPING and not fleet.workers:
        fleet = replace(fleet, phase=Phase.GONE)
        actions.append(Leave(fleet.status))
    return fleet, actions


def _empty(fleet: Fleet, now: float) -> tuple[Fleet, list[Action]]:
    """No worker is wanted: drains all, gives up a reload, and leaves if this arbiter has nothing to wait for."""
    actions: list[Action] = []
    if fleet.candidate:
        actions.append(Discard(fleet.candidate.generation))
        fleet = replace(fleet, candidate=None)
    if fleet.loading:
        actions.append(StopLoading(Order.KILL))
        fleet = replace(fleet, loading=None)
    for worker in fleet.workers:
        if worker.stage is not Stage.LEAVING:
            fleet, orders = dismiss(fleet, worker, now)
            actions += orders
    if upgrade.may_leave(fleet):
        fleet = replace(fleet, phase=Phase.GONE)
        actions.append(Leave(0))
    return fleet, actions


def with_worker(fleet: Fleet, worker: Worker) -> Fleet:
    """The fleet with the worker of the same slot replaced by `worker`."""
    return replace(fleet, workers=tuple(worker if w.slot == worker.slot else w for w in fleet.workers))


def tell(fleet: Fleet, worker: Worker, order: Order, kill_at: float) -> tuple[Fleet, list[Action]]:
    """Tells one worker to leave, and remembers when it must be gone. A worker already leaving is never given longer."""
    # One that was aborted for being late with its boot is leaving too, if under another name.
    if worker.stage is Stage.LEAVING or (worker.stage is Stage.BOOTING and worker.why):
        # kill_at is None once the kill has been sent: nothing more can be asked of that process. It leaves all the
        # same: the end of a candidate that was killed for being late is no death of the generation that follows it.
        if worker.kill_at is None:
            return with_worker(fleet, replace(worker, stage=Stage.LEAVING)), []
        kill_at = min(kill_at, worker.kill_at)
    fleet = with_worker(fleet, replace(worker, stage=Stage.LEAVING, kill_at=kill_at))
    return fleet, [] if worker.pid is None else [Send(worker.pid, order)]


def dismiss(fleet: Fleet, worker: Worker, now: float) -> tuple[Fleet, list[Action]]:
    """Tells one worker to finish what it has and go.

    Also one that boots: its report that it is ready may be on the way, and with it requests. If it is not, it ends at
    once, because nothing handles TERM yet.
    """
    return tell(fleet, worker, Order.DRAIN, now + fleet.policy.graceful_timeout + LAST_MOMENT)


def enforce_deadlines(fleet: Fleet, now: float) -> tuple[Fleet, list[Action]]:
    """Stops what is past its deadline.

    Called for a Tick only, the last event of a turn: a worker that has reported or ended meanwhile is not late.
    """
    fleet, actions = _stop_late_loading(fleet, now)
    fleet, more = upgrade.expire(fleet, now)
    actions += more
    for worker in fleet.workers:
        if worker.kill_at is None or now < worker.kill_at or worker.pid is None:
            continue
        if worker.stage is Stage.BOOTING and not worker.why:
            # Its stack tells what the import is waiting for, so it may dump it before it is killed.
            why = f"not ready after {now - worker.born:.0f} s (boot_timeout)"
            fleet = with_worker(fleet, replace(worker, why=why, kill_at=now + QUICK))
            actions.append(Send(worker.pid, Order.ABORT))
            continue
        fleet = with_worker(fleet, replace(worker, kill_at=None))
        actions += [Say(Level.WARNING, f"{worker.name} did not leave in time: killed"), Send(worker.pid, Order.KILL)]
    return fleet, actions


def _stop_late_loading(fleet: Fleet, now: float) -> tuple[Fleet, list[Action]]:
    loading = fleet.loading
    if loading is None or now < loading.kill_at:
        return fleet, []
    if loading.overdue:
        return replace(fleet, loading=None), [StopLoading(Order.KILL)]
    limit = fleet.policy.boot_timeout
    why = f"the settings could not be read within {limit:g} s (boot_timeout); the stack of what hangs is on stderr"
    fleet = replace(fleet, loading=replace(loading, overdue=True, kill_at=now + QUICK))
    fleet, actions = reload_failed(fleet, why)
    return fleet, [*actions, StopLoading(Order.ABORT)]


def reload_failed(fleet: Fleet, why: str) -> tuple[Fleet, list[Action]]:
    """Ends a reload that has changed nothing."""
    text = f"reload failed: {why}"
    said = Say(Level.ERROR, f"{text}; generation {fleet.generation} goes on serving unchanged")
    return replace(fleet, failure=text), [said]


def _drain_surplus(fleet: Fleet, now: float) -> tuple[Fleet, list[Action]]:
    """Drains outdated workers for which a fresh one is ready, then fresh ones above the size; the oldest first."""
    outdated = sorted(fleet.outdated(), key=lambda w: (w.generation, w.born))
    ready = sorted((w for w in fleet.fresh() if w.stage is Stage.READY), key=lambda w: w.born)
    surplus = len(outdated) + len(ready) - fleet.size
    if fleet.policy.abrupt and ready:
        surplus = max(surplus, sum(worker.generation < fleet.generation for worker in outdated))
    leaving = [*outdated, *ready][: max(0, surplus)]
    # One that still boots an adopted-over generation would only become outdated.
    leaving += [w for w in fleet.workers if w.stage in _UNREADY and w.generation < fleet.generation]
    actions: list[Action] = []
    for worker in leaving:
        fleet, orders = dismiss(fleet, worker, now)
        actions += orders
    return fleet, actions


def _fork_missing(fleet: Fleet, now: float) -> tuple[Fleet, list[Action]]:
    if now < fleet.streak.not_before:
        return fleet, []
    fresh, outdated = fleet.fresh(), fleet.outdated()
    booting = sum(w.stage is not Stage.READY for w in fresh)
    missing = max(0, fleet.size - len(fresh) - len(outdated))
    if missing == 0 and outdated:
        # The replacement of an outdated worker boots beside it, few at a time: the machine keeps its CPU for requests.
        missing = max(0, min(fleet.size - len(fresh), _replacements(fleet, outdated) - booting))
    if fleet.streak.length > 1:
        # Workers keep dying young: one at a time shows whether they still do.
        missing = min(missing, max(0, 1 - booting))
    return _fork(fleet, missing, fleet.generation, now)


def _replacements(fleet: Fleet, outdated: list[Worker]) -> int:
    """How many workers may boot in the place of others that still serve."""
    if any(w.generation < fleet.generation for w in outdated):
        return 1
    # One that drains still has its memory: it counts until it is gone.
    return fleet.policy.recycle_at_once - fleet.recycling()


def _fork_candidate(fleet: Fleet, now: float) -> tuple[Fleet, list[Action]]:
    candidate = fleet.candidate
    if candidate is None or any(w.generation == candidate.generation for w in fleet.workers):
        return fleet, []
    return _fork(fleet, 1, candidate.generation, now)


def _fork(fleet: Fleet, count: int, generation: int, now: float) -> tuple[Fleet, list[Action]]:
    """Forks into free slots. Where none is free the fork waits for the next exit: drainers bound the processes."""
    slots = fleet.free_slots()[:count]
    born = tuple(Worker(slot, generation, Stage.FORKING, now) for slot in slots)
    return replace(fleet, workers=fleet.workers + born), [Spawn(slot, generation) for slot in slots]
