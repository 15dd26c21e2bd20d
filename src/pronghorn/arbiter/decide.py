"""Every decision of the arbiter, as a pure function: (fleet, event, now) -> (fleet, actions).

Each event first changes what is known (`_on_…`); then `reconcile` compares what is with what should be and orders the
difference: drain what is too many, fork what is missing. So a crash, a recycled worker, TTIN, TTOU
and a reload need no code of their own for replacing workers, and no order of events can replace one worker twice.

A reload is careful: the first worker of a new generation boots as a *candidate* beside a fleet that is left alone.
Only when it is ready is its generation adopted; if it fails, the old generation has lost nothing.

Time passes in a Tick only, the last event of a turn of the loop: whatever is late is judged by all that is known.

No sockets, clocks, processes or logging in here: `now` is handed in (monotonic seconds), log lines are actions.
"""

# ruff: noqa: ARG001 - every handler takes the same three arguments, whether it needs them or not

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pronghorn.arbiter import upgrade
from pronghorn.arbiter.actions import (
    Action,
    Adopt,
    CloseListeners,
    Discard,
    Level,
    LoadSettings,
    Order,
    ReopenLogs,
    Say,
    Send,
    StopLoading,
    Withdraw,
)
from pronghorn.arbiter.deaths import BOOT_ATTEMPTS, back_off, count_death, describe, is_quiet
from pronghorn.arbiter.events import (
    Event,
    Exited,
    FilesChanged,
    Grow,
    Hangup,
    Interrupt,
    Pause,
    PredecessorGone,
    Reopen,
    SettingsLoaded,
    SettingsRejected,
    Shrink,
    Spawned,
    SpawnFailed,
    Started,
    SuccessorEnded,
    SuccessorFailed,
    SuccessorReady,
    SuccessorStarted,
    Terminate,
    Tick,
    Upgrade,
    WorkerBroken,
    WorkerFailed,
    WorkerReady,
    WorkerTired,
)
from pronghorn.arbiter.fleet import Candidate, Fleet, Loading, Phase, Stage, Worker
from pronghorn.arbiter.reconcile import (
    QUICK,
    dismiss,
    enforce_deadlines,
    reconcile,
    reload_failed,
    tell,
    with_worker,
)
from pronghorn.worker.exits import Exit

Decision = tuple[Fleet, list[Action]]

TICK = 1.0
"""Seconds between two looks at the heartbeats and at what is due."""

LOST = 2 * TICK
"""A gap between ticks above this means that the arbiter itself did not run (SIGSTOP, suspended machine)."""

SILENCE = 5.0
"""Seconds of silence that mean nothing, however short `timeout` is: an idle worker shows life once a second."""


def decide(fleet: Fleet, event: Event, now: float) -> tuple[Fleet, tuple[Action, ...]]:
    """What is known after `event`, and what to do about it.

    Arguments:
        now: monotonic seconds.
    """
    fleet, actions = _HANDLERS[type(event)](fleet, event, now)
    fleet, more = reconcile(fleet, now)
    fleet, last = upgrade.announce(fleet)
    if not _watches(fleet):
        fleet = replace(fleet, ticked=None)
    elif fleet.ticked is None:
        fleet = replace(fleet, ticked=now)
    return fleet, (*actions, *more, *last)


def next_wakeup(fleet: Fleet, now: float) -> float | None:
    """The monotonic second at which a Tick is due, or None if only an event can change anything."""
    moments = _deadlines(fleet)
    if fleet.phase is Phase.SERVING and not fleet.paused and fleet.streak.not_before > now:
        moments.append(fleet.streak.not_before)
    if fleet.ticked is not None:
        moments.append(fleet.ticked + TICK)
    return min(moments, default=None)


def _deadlines(fleet: Fleet) -> list[float]:
    moments = [worker.kill_at for worker in fleet.workers if worker.kill_at is not None and worker.pid]
    if fleet.loading:
        moments.append(fleet.loading.kill_at)
    if fleet.successor and fleet.successor.kill_at is not None:
        moments.append(fleet.successor.kill_at)
    if fleet.drain_at is not None:
        moments.append(fleet.drain_at)
    return moments


def _watches(fleet: Fleet) -> bool:
    """Whether time matters: then a Tick comes every TICK, and a gap tells of time that was lost."""
    serves = fleet.phase is Phase.SERVING and not fleet.paused
    return bool(_deadlines(fleet)) or (serves and fleet.policy.timeout > 0)


def _on_started(fleet: Fleet, event: Started, now: float) -> Decision:
    return fleet, []


def _on_tick(fleet: Fleet, event: Tick, now: float) -> Decision:
    if fleet.ticked is not None and now - fleet.ticked > LOST:
        fleet = _forgive(fleet, now - fleet.ticked, now)
    fleet, actions = enforce_deadlines(replace(fleet, ticked=now), now)
    if fleet.drain_at is not None and now >= fleet.drain_at:
        fleet, more = _drain_all(fleet, now)
        actions += more
    fleet, more = _stop_silent(fleet, event, now)
    return fleet, actions + more


def _forgive(fleet: Fleet, lost: float, now: float) -> Fleet:
    """Time in which the arbiter did not run is held against nobody: mostly the workers were stopped as well."""
    workers = tuple(w if w.kill_at is None else replace(w, kill_at=w.kill_at + lost) for w in fleet.workers)
    loading = fleet.loading and replace(fleet.loading, kill_at=fleet.loading.kill_at + lost)
    drain_at = None if fleet.drain_at is None else fleet.drain_at + lost
    fleet = upgrade.forgive(fleet, lost)
    return replace(fleet, workers=workers, loading=loading, drain_at=drain_at, amnesty=now)


def _stop_silent(fleet: Fleet, event: Tick, now: float) -> Decision:
    """Stops workers whose main thread shows no life."""
    actions: list[Action] = []
    if fleet.policy.timeout <= 0 or fleet.phase is not Phase.SERVING:
        return fleet, actions
    for worker in fleet.workers:
        seen = max(event.heartbeats.get(worker.pid or 0, now), worker.ready_at or now, fleet.amnesty)
        if worker.stage is Stage.READY and now - seen > max(fleet.policy.timeout, SILENCE):
            said = f"{worker.name} shows no life for {now - seen:.0f} s (timeout is {fleet.policy.timeout:g} s)"
            actions.append(Say(Level.ERROR, f"{said}: it is stopped and replaced"))
            fleet, order = tell(fleet, worker, Order.ABORT, now + QUICK)
            actions.extend(order)
    return fleet, actions


def _on_spawned(fleet: Fleet, event: Spawned, now: float) -> Decision:
    worker = _unborn(fleet, event.slot)
    if worker is None:
        return fleet, [Send(event.pid, Order.KILL)]
    born = replace(worker, pid=event.pid)
    if worker.stage is Stage.LEAVING:
        return with_worker(fleet, born), [Send(event.pid, Order.QUIT)]
    born = replace(born, stage=Stage.BOOTING, kill_at=now + _boot_timeout(fleet, worker))
    return with_worker(fleet, born), []


def _unborn(fleet: Fleet, slot: int) -> Worker | None:
    return next((w for w in fleet.workers if w.slot == slot and w.pid is None), None)


def _boot_timeout(fleet: Fleet, worker: Worker) -> float:
    candidate = fleet.candidate
    policy = candidate.policy if candidate and candidate.generation == worker.generation else fleet.policy
    return policy.boot_timeout


def _on_spawn_failed(fleet: Fleet, event: SpawnFailed, now: float) -> Decision:
    gone = _unborn(fleet, event.slot)
    if gone is None:
        return fleet, []
    fleet = replace(fleet, workers=tuple(w for w in fleet.workers if w is not gone))
    if gone.stage is Stage.LEAVING:
        return fleet, []
    if fleet.candidate and fleet.candidate.generation == gone.generation:
        return _reject(fleet, fleet.candidate, f"no worker can be forked: {event.why}")
    if event.by_hook and not fleet.proven:
        return begin_stop(fleet, now, quick=True, status=Exit.APPLICATION, why=f"cannot start: {event.why}")
    # A failed fork is never retried at once: the memory or the process table that was full a moment ago still is.
    streak = count_death(fleet, gone, now, young=True)
    delay = max(1.0, back_off(streak.length))
    fleet = replace(fleet, streak=replace(streak, not_before=now + delay))
    return fleet, [Say(Level.ERROR, f"cannot fork a worker: {event.why}; next attempt in {delay:g} s")]


def _on_ready(fleet: Fleet, event: WorkerReady, now: float) -> Decision:
    worker = fleet.by_pid(event.pid)
    # One that says why it fails, or was aborted for being late, is about to end whatever else it says.
    if worker is None or worker.stage is not Stage.BOOTING or worker.why:
        return fleet, []
    first = not fleet.proven
    fleet = with_worker(fleet, replace(worker, stage=Stage.READY, ready_at=now, kill_at=None))
    fleet = replace(fleet, proven=True)
    actions: list[Action] = [Say(Level.INFO, f"{worker.name} is ready after {now - worker.born:.1f} s")]
    candidate = fleet.candidate
    if candidate and candidate.generation == worker.generation:
        size = min(candidate.policy.size, fleet.slots // 2)
        fleet = replace(fleet, generation=candidate.generation, policy=candidate.policy, size=size, candidate=None)
        actions.append(Adopt(fleet.generation))
        rest = "" if first else "; the old workers are drained"
        actions.append(Say(Level.INFO, f"generation {fleet.generation} serves{rest}"))
    return fleet, actions


def _on_failed(fleet: Fleet, event: WorkerFailed, now: float) -> Decision:
    worker = fleet.by_pid(event.pid)
    if worker is None:
        return fleet, []
    return with_worker(fleet, replace(worker, why=event.why, trace=event.trace)), []


def _on_tired(fleet: Fleet, event: WorkerTired, now: float) -> Decision:
    worker = fleet.by_pid(event.pid)
    if worker is None or worker.stage is not Stage.READY or worker.retiring:
        return fleet, []
    text = f"{worker.name} asks to be replaced: {event.why}" if event.why else f"{worker.name} asks to be replaced"
    return with_worker(fleet, replace(worker, retiring=True)), [Say(Level.INFO, text)]


def _on_changed(fleet: Fleet, event: FilesChanged, now: float) -> Decision:
    # Every worker sees the same change; what counts is the state of the files that the newest reload began with. While
    # a reload is under way a newer change begins it anew.
    if fleet.by_pid(event.pid) is None or event.state == fleet.changes:
        return fleet, []
    fleet = replace(fleet, changes=event.state)
    if fleet.phase is not Phase.SERVING or fleet.drain_at is not None or fleet.paused:
        return fleet, []
    files = ", ".join(event.files)
    # What a HUP has begun and this begins anew is still the HUP's.
    fleet, actions = _reload(fleet, now, asked=fleet.loading is not None and fleet.loading.asked)
    return fleet, [Say(Level.INFO, f"changed: {files}"), *actions]


def _on_broken(fleet: Fleet, event: WorkerBroken, now: float) -> Decision:
    worker = fleet.by_pid(event.pid)
    # Workers of one generation fail alike, and one traceback is enough.
    if worker is None or worker.generation == fleet.explained:
        return fleet, []
    trace = [Say(Level.ERROR, event.trace.rstrip())] if event.trace else []
    text = f"{event.why}; every request is answered with that until a file changes"
    return replace(fleet, explained=worker.generation), [*trace, Say(Level.ERROR, text)]


def _on_exited(fleet: Fleet, event: Exited, now: float) -> Decision:
    worker = fleet.by_pid(event.pid)
    if worker is None:
        return fleet, []
    fleet = replace(fleet, workers=tuple(w for w in fleet.workers if w is not worker))
    end = describe(event)
    if worker.stage is Stage.LEAVING or fleet.phase is not Phase.SERVING:
        if worker.stage is Stage.LEAVING and worker.kill_at is None:
            return fleet, []  # That it had to be killed has been said.
        repeated = bool(fleet.status) and (event.status == fleet.status or is_quiet(event))
        level = Level.INFO if is_quiet(event) else Level.WARNING
        return fleet, [] if repeated else [Say(level, f"{worker.name} {end}")]
    if worker.stage is Stage.BOOTING:
        # Said only now: workers that boot together fail together, and the first of them may end the command.
        trace: list[Action] = [Say(Level.ERROR, worker.trace.rstrip())] if worker.trace else []
        fleet, actions = _on_stillbirth(fleet, worker, event, now)
        return fleet, trace + actions
    young = event.signal != _SIGKILL and now - (worker.ready_at or now) < YOUNG
    fleet = replace(fleet, streak=count_death(fleet, worker, now, young=young))
    level = Level.INFO if event.status == 0 and not event.signal else Level.ERROR
    return fleet, [Say(level, f"{worker.name} {end}; {_replacing(fleet, now)}")]


YOUNG = 5.0
"""Seconds of service below which a death looks like a crash loop. SIGKILL is exempt: it comes from outside (the
kernel's memory killer, an operator), and the back-off would turn one violence into an outage."""

_SIGKILL = 9


def _replacing(fleet: Fleet, now: float) -> str:
    delay = fleet.streak.not_before - now
    return f"replaced in {delay:g} s, as workers keep dying young" if delay > 0 else "replaced at once"


def _on_stillbirth(fleet: Fleet, worker: Worker, event: Exited, now: float) -> Decision:
    """A worker ended before it was ready."""
    end = worker.why or describe(event)
    if fleet.candidate and fleet.candidate.generation == worker.generation:
        return _reject(fleet, fleet.candidate, end if worker.why else f"its first worker {end}")
    if not fleet.proven and event.status == Exit.APPLICATION:
        return begin_stop(fleet, now, quick=True, status=Exit.APPLICATION, why=f"cannot start: {end}")
    fleet = replace(fleet, streak=count_death(fleet, worker, now, young=True))
    if not fleet.proven and fleet.streak.length >= BOOT_ATTEMPTS:
        why = f"cannot start: no worker was ever ready, {BOOT_ATTEMPTS} attempts; the last one: {worker.name} {end}"
        return begin_stop(fleet, now, quick=True, status=Exit.BOOT, why=why)
    return fleet, [Say(Level.ERROR, f"{worker.name} did not get ready: {end}; {_replacing(fleet, now)}")]


def _reject(fleet: Fleet, candidate: Candidate, why: str) -> Decision:
    """Gives up the candidate; whatever served goes on."""
    fleet, actions = reload_failed(replace(fleet, candidate=None), why)
    return fleet, [Discard(candidate.generation), *actions]


def begin_stop(fleet: Fleet, now: float, *, quick: bool, status: int = 0, why: str = "") -> Decision:
    """Tells every worker to go: by draining within graceful_timeout, or quickly."""
    actions: list[Action] = [Say(Level.ERROR, why)] if why else []
    fleet, more = _give_up_reload(upgrade.release(fleet), now)
    actions += [*more, CloseListeners()]
    fleet = replace(fleet, phase=Phase.STOPPING, status=int(status), drain_at=None, hurried=quick)
    for worker in fleet.workers:
        orders: list[Action] = []
        if quick:
            fleet, orders = tell(fleet, worker, Order.QUIT, now + QUICK)
        elif worker.stage is not Stage.LEAVING:
            fleet, orders = dismiss(fleet, worker, now)
        actions += orders
    return fleet, actions


def _give_up_reload(fleet: Fleet, now: float) -> Decision:
    """Ends a reload that nobody waits for any more, wherever it stands."""
    fleet, actions = _drop_candidate(fleet, now)
    if fleet.loading:
        actions.append(StopLoading(Order.KILL))
    return replace(fleet, loading=None), actions


def _drop_candidate(fleet: Fleet, now: float) -> Decision:
    if fleet.candidate is None:
        return fleet, []
    dropped = fleet.candidate.generation
    actions: list[Action] = [Discard(dropped)]
    for worker in fleet.workers:
        if worker.generation == dropped:
            fleet, orders = dismiss(fleet, worker, now)
            actions += orders
    return replace(fleet, candidate=None), actions


def _on_terminate(fleet: Fleet, event: Terminate, now: float) -> Decision:
    # Said once more it means the same: Heroku sends it several times, a terminal to the group and to the process.
    if fleet.phase is not Phase.SERVING or fleet.drain_at is not None:
        return fleet, []
    delay = fleet.policy.drain_delay
    if delay == 0 or not any(worker.stage is Stage.READY for worker in fleet.workers):
        fleet, actions = _drain_all(fleet, now)
        return fleet, [Withdraw(), *actions]
    text = f"stopping in {delay:g} s (drain_delay): until then all is served, and readiness is off"
    fleet, actions = _give_up_reload(upgrade.release(fleet), now)
    return replace(fleet, drain_at=now + delay), [Say(Level.INFO, text), Withdraw(), *actions]


def _drain_all(fleet: Fleet, now: float) -> Decision:
    text = f"stopping: requests that run get {fleet.policy.graceful_timeout:g} s to finish"
    fleet, actions = begin_stop(fleet, now, quick=False)
    return fleet, [Say(Level.INFO, text), *actions]


def _on_interrupt(fleet: Fleet, event: Interrupt, now: float) -> Decision:
    if fleet.hurried:
        return fleet, []
    fleet, actions = begin_stop(fleet, now, quick=True, status=fleet.status)
    return fleet, [Say(Level.INFO, "stopping quickly: requests that run are cut off"), *actions]


def _on_hangup(fleet: Fleet, event: Hangup, now: float) -> Decision:
    if fleet.phase is not Phase.SERVING or fleet.drain_at is not None:
        return fleet, [Say(Level.INFO, "HUP is ignored: the server is stopping")]
    if fleet.paused:
        return upgrade.resume(fleet)
    return _reload(fleet, now, asked=True)


def _reload(fleet: Fleet, now: float, *, asked: bool) -> Decision:
    number = fleet.newest + 1
    fleet = replace(fleet, newest=number, loading=Loading(number, now + fleet.policy.boot_timeout, asked), failure="")
    text = f"reloading as generation {number}"
    if fleet.preloaded:
        way = "only a restart" if fleet.irreplaceable else "USR2"
        text += f"; the application's code stays as imported at the start (preload_app): {way} takes new code"
    return fleet, [Say(Level.INFO, text), LoadSettings(number, asked)]


def _on_settings_loaded(fleet: Fleet, event: SettingsLoaded, now: float) -> Decision:
    loading = fleet.loading
    if loading is None or loading.generation != event.generation:
        return fleet, [Discard(event.generation)]
    fleet = replace(fleet, loading=None)
    if loading.overdue:
        # The log has said that this reload failed.
        return fleet, [Discard(event.generation)]
    fleet, actions = _drop_candidate(fleet, now)
    return replace(fleet, candidate=Candidate(event.generation, event.policy)), actions


def _on_settings_rejected(fleet: Fleet, event: SettingsRejected, now: float) -> Decision:
    loading = fleet.loading
    if loading is None or loading.generation != event.generation:
        return fleet, []
    fleet = replace(fleet, loading=None)
    # That it took too long has been said.
    return (fleet, []) if loading.overdue else reload_failed(fleet, event.why)


def _on_grow(fleet: Fleet, event: Grow, now: float) -> Decision:
    return _resize(fleet, fleet.size + 1)


def _on_shrink(fleet: Fleet, event: Shrink, now: float) -> Decision:
    return _resize(fleet, fleet.size - 1)


def _resize(fleet: Fleet, size: int) -> Decision:
    # Half the slots stay free for the replacements that a reload boots beside the workers that serve.
    size = max(1, min(size, fleet.slots // 2))
    if fleet.phase is not Phase.SERVING or size == fleet.size:
        return fleet, []
    return replace(fleet, size=size), [Say(Level.INFO, f"{size} worker{'s' * (size > 1)} wanted, before {fleet.size}")]


def _on_reopen(fleet: Fleet, event: Reopen, now: float) -> Decision:
    # Also those that still boot: they inherited the access log that is old now. The arbiter's turn comes first: where
    # it is root and the workers are not, only it can make new files in the folder, and gives them to the workers' user.
    told = [Send(worker.pid, Order.REOPEN) for worker in fleet.workers if worker.pid is not None]
    return fleet, [ReopenLogs(), *told]


_HANDLERS: dict[type, Callable[[Fleet, Any, float], Decision]] = {
    Started: _on_started,
    Tick: _on_tick,
    Spawned: _on_spawned,
    SpawnFailed: _on_spawn_failed,
    WorkerReady: _on_ready,
    WorkerFailed: _on_failed,
    WorkerTired: _on_tired,
    FilesChanged: _on_changed,
    WorkerBroken: _on_broken,
    Exited: _on_exited,
    Terminate: _on_terminate,
    Interrupt: _on_interrupt,
    Hangup: _on_hangup,
    SettingsLoaded: _on_settings_loaded,
    SettingsRejected: _on_settings_rejected,
    Grow: _on_grow,
    Shrink: _on_shrink,
    Reopen: _on_reopen,
    Upgrade: upgrade.on_upgrade,
    Pause: upgrade.on_pause,
    SuccessorStarted: upgrade.on_successor_started,
    SuccessorReady: upgrade.on_successor_ready,
    SuccessorFailed: upgrade.on_successor_failed,
    SuccessorEnded: upgrade.on_successor_ended,
    PredecessorGone: upgrade.on_predecessor_gone,
}
