"""What must hold whatever happens to the arbiter, in whatever order: its decisions against a model of the world.

`pytest tests/arbiter/test_decide_properties.py --hypothesis-profile=long` looks for longer.
"""

import math
from dataclasses import replace

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pronghorn.arbiter.actions import (
    Adopt,
    CloseListeners,
    Discard,
    Leave,
    LoadSettings,
    Order,
    Send,
    Spawn,
    StartSuccessor,
    StopLoading,
    TellSuccessor,
)
from pronghorn.arbiter.deaths import LONGEST_DELAY
from pronghorn.arbiter.decide import TICK, decide, next_wakeup
from pronghorn.arbiter.events import (
    Exited,
    FilesChanged,
    Grow,
    Hangup,
    Interrupt,
    Pause,
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
from pronghorn.arbiter.fleet import Fleet, Phase, Policy, Stage
from pronghorn.arbiter.reconcile import LAST_MOMENT, QUICK
from pronghorn.arbiter.upgrade import PATIENCE
from pronghorn.worker.exits import Exit

POLICIES = st.builds(
    Policy,
    size=st.integers(1, 4),
    graceful_timeout=st.sampled_from([0.0, 5.0, 30.0]),
    boot_timeout=st.sampled_from([1.0, 20.0]),
    timeout=st.sampled_from([0.0, 10.0]),
    drain_delay=st.sampled_from([0.0, 7.0]),
    recycle_at_once=st.integers(1, 3),
    abrupt=st.booleans(),
)
PICK = st.integers(0, 99)
UNREADY = (Stage.FORKING, Stage.BOOTING)


class World:
    """Processes that exist only on paper, a clock, and what must be true of every decision."""

    def __init__(self, policy, slots):
        self.fleet = Fleet(policy, policy.size, slots)
        self.now = 1000.0
        self.pid = 100
        self.alive = {}
        """Process ids, and the moment by which each must have been killed."""
        self.told = set()
        self.killed = set()
        self.silent = set()
        self.reading = None
        """The generation whose settings are being read."""
        self.generations = {1}
        """Those that the performer holds something open for."""
        self.successor = None
        """Process id of the new arbiter."""
        self.successor_limit = math.inf
        self.successor_killed = False
        self.longest = policy.graceful_timeout
        self.fork_fails = False
        self.hook_raises = False
        self.spawns = 0
        self.left = None

    def feed(self, event):
        if isinstance(event, Terminate | Interrupt):
            # The successor gets all the time it needs, unless it was told to stop already.
            self.successor_limit = math.inf
        waiting = [event]
        while waiting:
            event = waiting.pop(0)
            before = self.fleet
            self.fleet, actions = decide(before, event, self.now)
            self.check_decision(before, event, actions)
            for action in actions:
                waiting.extend(self.perform(action))
        self.check_state()

    def perform(self, action):
        assert self.left is None, f"{action} after the end"
        match action:
            case Spawn(slot, generation):
                assert generation in self.generations
                self.spawns += 1
                if self.fork_fails or self.hook_raises:
                    return [SpawnFailed(slot, "no memory", by_hook=self.hook_raises)]
                self.pid += 1
                self.alive[self.pid] = self.now + self.fleet.policy.boot_timeout + 20 + QUICK
                return [Spawned(slot, self.pid)]
            case Send(pid, order):
                assert pid in self.alive, f"{order} for a process that is gone"
                self.order(pid, order)
            case LoadSettings(generation):
                self.reading = generation
            case StopLoading(order):
                assert self.reading is not None
                self.reading = None if order is Order.KILL else self.reading
            case Adopt(generation):
                self.longest = max(self.longest, self.fleet.policy.graceful_timeout)
                self.generations = {number for number in self.generations if number >= generation}
            case Discard(generation):
                self.generations.discard(generation)
            case CloseListeners():
                self.generations.clear()
            case StartSuccessor():
                return [self.start_successor()]
            case TellSuccessor(order):
                assert self.successor is not None
                assert not self.successor_killed, "told something after the kill"
                self.successor_killed = order is Order.KILL
            case Leave(status):
                self.left = status
        return []

    def start_successor(self):
        assert self.successor is None
        if self.fork_fails:
            return SuccessorFailed("no memory")
        self.pid += 1
        self.successor = self.pid
        self.successor_limit = self.now + self.fleet.policy.boot_timeout + PATIENCE
        return SuccessorStarted(self.pid)

    def order(self, pid, order):
        limit = {Order.DRAIN: self.longest + LAST_MOMENT, Order.QUIT: QUICK, Order.ABORT: QUICK}.get(order)
        if limit is not None:
            # The first order replaces what a boot may take, later ones may only shorten the time.
            allowed = self.alive[pid] if pid in self.told or order is Order.ABORT else math.inf
            self.told.add(pid)
            self.alive[pid] = min(allowed, self.now + limit)
        elif order is Order.KILL:
            assert pid not in self.killed, "killed twice"
            self.killed.add(pid)

    def check_decision(self, before, event, actions):
        after = self.fleet
        if after.phase is not Phase.SERVING:
            return
        was_ready = {w.pid: w.generation for w in before.workers if w.stage is Stage.READY}
        told = {a.pid for a in actions if isinstance(a, Send) and a.order in (Order.DRAIN, Order.QUIT)}
        drained = {was_ready[pid] for pid in told & was_ready.keys()}
        ready = sum(w.stage is Stage.READY for w in after.workers)
        # Where files are watched one ready worker of the new code is enough for all of the old to go.
        enough = 1 if after.policy.abrupt and all(number < after.generation for number in drained) else after.size
        assert not drained or ready >= enough or after.paused, "a worker that is needed is told to leave"
        if any(isinstance(a, Spawn) and a.generation == after.generation for a in actions):
            self.check_spawn(ready)
        if isinstance(event, Tick):
            late = [w for w in after.workers if w.kill_at is not None and w.pid and w.kill_at <= self.now]
            assert not late
            due = next_wakeup(after, self.now)
            assert due is None or due > self.now

    def check_spawn(self, ready):
        fleet = self.fleet
        booting = sum(w.stage in UNREADY for w in fleet.fresh())
        assert self.now >= fleet.streak.not_before
        assert fleet.streak.length <= 1 or booting <= 1
        if ready + booting > fleet.size:
            old = any(w.generation < fleet.generation for w in fleet.outdated())
            assert booting <= (1 if old else fleet.policy.recycle_at_once - fleet.recycling())

    def check_state(self):
        fleet = self.fleet
        slots = [w.slot for w in fleet.workers]
        assert len(slots) == len(set(slots)), "two processes in one slot"
        assert len(slots) <= fleet.slots
        assert {w.pid for w in fleet.workers} == set(self.alive), "a process that nobody will reap"
        assert fleet.streak.not_before <= self.now + LONGEST_DELAY
        assert (fleet.loading is None) == (self.reading is None)
        assert (fleet.successor is None) == (self.successor is None)
        if fleet.phase is Phase.SERVING and fleet.paused:
            assert all(w.stage is Stage.LEAVING for w in fleet.workers), "a worker serves in a pause"
        if fleet.phase is Phase.SERVING:
            held = {fleet.generation} | ({fleet.candidate.generation} if fleet.candidate else set())
            assert self.generations == held
            assert sum(w.generation > fleet.generation and w.stage is not Stage.LEAVING for w in fleet.workers) <= 1

    def ready(self, pid):
        self.feed(WorkerReady(pid))
        if any(w.pid == pid and w.stage is Stage.READY for w in self.fleet.workers):
            self.alive[pid] = math.inf

    def end(self, pid, *, status=0, signal=0):
        del self.alive[pid]
        self.killed.discard(pid)
        self.silent.discard(pid)
        self.feed(Exited(pid, status, signal))

    def successor_ends(self, *, status=0, signal=0):
        pid, self.successor = self.successor, None
        self.successor_limit, self.successor_killed = math.inf, False
        self.feed(SuccessorEnded(pid, status, signal))

    def tick(self):
        self.feed(Tick({pid: self.now for pid in self.alive if pid not in self.silent}))

    def pass_time(self, seconds):
        """Every Tick comes when it is due; a process that is killed dies."""
        until = self.now + seconds
        while self.left is None:
            for pid in sorted(self.killed):
                self.end(pid, signal=9)
            if self.successor_killed and self.left is None:
                self.successor_ends(signal=9)
            due = next_wakeup(self.fleet, self.now)
            if self.left is not None or due is None or due > until:
                break  # also the last death of a worker may have been the end of the arbiter
            self.now = max(self.now, due)
            self.tick()
        self.now = until
        for pid, limit in self.alive.items():
            assert pid in self.killed or self.now <= limit + 2 * TICK, f"{pid} should have been killed"
        assert self.successor_killed or self.now <= self.successor_limit + 2 * TICK or self.left is not None

    def stand_still(self, seconds):
        """The arbiter does not run."""
        self.now += seconds
        # How much of the last second it still ran is not known.
        self.alive = {pid: limit + seconds + TICK for pid, limit in self.alive.items()}
        self.successor_limit += seconds + TICK

    def told_to_leave(self):
        return [w.pid for w in self.fleet.workers if w.stage is Stage.LEAVING]


class Fleets(RuleBasedStateMachine):
    """Random histories."""

    @initialize(policy=POLICIES, slots=st.sampled_from([8, 12, 32]), stubborn=st.booleans(), ends=st.booleans())
    def start(self, policy, slots, stubborn, ends):
        self.world = World(policy, slots)
        self.stubborn, self.ends = stubborn, ends
        self.world.feed(Started())

    @property
    def goes_on(self):
        return self.world.left is None

    def one_of(self, pids, pick):
        pids = sorted(pids)
        return pids[pick % len(pids)] if pids else None

    def any_worker(self, pick):
        return self.one_of(self.world.alive, pick)

    @precondition(lambda self: not self.goes_on)
    @rule()
    def it_is_over(self):
        """Hypothesis wants a step that is always possible."""

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK)
    def one_is_ready(self, pick):
        if (pid := self.any_worker(pick)) is not None:
            self.world.ready(pid)

    @precondition(lambda self: self.goes_on)
    @rule()
    def all_are_ready(self):
        for worker in self.world.fleet.workers:
            if worker.stage is Stage.BOOTING and worker.pid in self.world.alive:
                self.world.ready(worker.pid)

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK, end=st.sampled_from([(0, 0), (1, 0), (Exit.APPLICATION, 0), (0, 6), (0, 9), (0, 11), (0, 15)]))
    def one_dies(self, pick, end):
        if (pid := self.any_worker(pick)) is not None:
            self.world.end(pid, status=end[0], signal=end[1])

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK)
    def one_fails(self, pick):
        if (pid := self.any_worker(pick)) is not None:
            self.world.feed(WorkerFailed(pid, "broken"))
            self.world.end(pid, status=Exit.APPLICATION)

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK)
    def one_obeys(self, pick):
        if (pid := self.one_of(self.world.told_to_leave(), pick)) is not None:
            self.world.end(pid)

    @precondition(lambda self: self.goes_on)
    @rule()
    def all_obey(self):
        for pid in self.world.told_to_leave():
            if pid in self.world.alive:
                self.world.end(pid)

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK)
    def one_is_tired(self, pick):
        if (pid := self.any_worker(pick)) is not None:
            self.world.feed(WorkerTired(pid, "it has grown"))

    @precondition(lambda self: self.goes_on)
    @rule()
    def all_are_tired(self):
        for pid in sorted(self.world.alive):
            self.world.feed(WorkerTired(pid))

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK, state=st.sampled_from("abc"))
    def one_sees_a_change(self, pick, state):
        if (pid := self.any_worker(pick)) is not None:
            before = self.world.fleet
            self.world.feed(FilesChanged(pid, ("app.py",), state))
            # Whoever else sees the same begins nothing.
            after = self.world.fleet
            self.world.feed(FilesChanged(pid, ("app.py",), state))
            assert self.world.fleet == after
            assert after.newest <= before.newest + 1

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK)
    def one_serves_why_it_is_broken(self, pick):
        if (pid := self.any_worker(pick)) is not None:
            stages = [w.stage for w in self.world.fleet.workers]
            self.world.feed(WorkerBroken(pid, "broken", "Traceback"))
            assert [w.stage for w in self.world.fleet.workers] == stages

    @precondition(lambda self: self.goes_on)
    @rule(pick=PICK)
    def one_falls_silent(self, pick):
        if (pid := self.any_worker(pick)) is not None:
            self.world.silent.add(pid)

    @precondition(lambda self: self.goes_on)
    @rule(fails=st.booleans())
    def forks(self, fails):
        self.world.fork_fails = fails

    @precondition(lambda self: self.goes_on)
    @rule(raises=st.booleans())
    def the_hook_pre_fork(self, raises):
        self.world.hook_raises = raises

    @precondition(lambda self: self.goes_on)
    @rule(event=st.sampled_from([Hangup(), Grow(), Shrink(), Reopen(), Terminate(), Interrupt(), Tick()]), pick=PICK)
    def a_signal(self, event, pick):
        # Stops are rare, or no history would ever be long.
        if not isinstance(event, Terminate | Interrupt) or pick < 15:
            self.world.feed(event)

    @precondition(lambda self: self.goes_on)
    @rule(event=st.sampled_from([Upgrade(), Pause()]))
    def an_upgrade_or_a_pause(self, event):
        self.world.feed(event)

    @precondition(lambda self: self.goes_on and self.world.successor is not None)
    @rule()
    def the_successor_is_ready(self):
        self.world.successor_limit = math.inf
        self.world.feed(SuccessorReady())

    @precondition(lambda self: self.goes_on and self.world.successor is not None)
    @rule(status=st.sampled_from([0, Exit.APPLICATION]))
    def the_successor_ends(self, status):
        self.world.successor_ends(status=status)

    @precondition(lambda self: self.goes_on and self.world.reading is not None)
    @rule(policy=POLICIES)
    def settings_are_read(self, policy):
        number, self.world.reading = self.world.reading, None
        self.world.generations.add(number)
        self.world.feed(SettingsLoaded(number, policy))

    @precondition(lambda self: self.goes_on and self.world.reading is not None)
    @rule()
    def settings_are_wrong(self):
        number, self.world.reading = self.world.reading, None
        self.world.feed(SettingsRejected(number, "misspelt"))

    @precondition(lambda self: self.goes_on)
    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 6.0, 15.0, 40.0]))
    def time_passes(self, seconds):
        self.world.pass_time(seconds)

    @precondition(lambda self: self.goes_on)
    @rule(seconds=st.sampled_from([1.0, 5.0, 100.0]))
    def the_arbiter_is_stopped(self, seconds):
        self.world.stand_still(seconds)
        self.world.tick()

    @precondition(lambda self: self.goes_on)
    @rule()
    def everything_crashes_for_a_minute(self):
        world = self.world
        began, spawned = world.now, world.spawns
        while self.goes_on and world.now < began + 60:
            for pid in sorted(world.alive):
                if pid in world.alive:
                    world.end(pid, signal=11)
            world.pass_time(0.25)
        # Each worker anew, each of those once at no delay, then one fork after each wait of 0, 1, 2, 4, 8, 16 and 30 s.
        assert world.spawns - spawned <= 2 * world.fleet.size + 7

    def teardown(self):
        if not hasattr(self, "world") or not self.goes_on:
            return
        note("The history is over.")
        if self.ends:
            self.must_end()
        else:
            self.must_heal()

    def must_end(self):
        world = self.world
        world.feed(Terminate())
        began = world.now
        longest = 7 + world.longest + LAST_MOMENT + QUICK + 2 * TICK
        while self.goes_on:
            if not self.stubborn:
                self.all_obey()
            world.pass_time(TICK)
            assert world.now - began <= longest
        assert not world.alive
        assert world.reading is None

    def must_heal(self):
        """Left alone, with workers that do as they are told, the fleet is complete again and of one generation."""
        world = self.world
        world.fork_fails = world.hook_raises = False
        world.silent.clear()
        if world.successor is not None:
            world.successor_ends()
        if world.fleet.paused:
            world.feed(Hangup())
        for _ in range(400):
            self.all_are_ready()
            self.all_obey()
            if not self.goes_on:
                return
            world.pass_time(TICK / 2)  # a boot takes at most that, half of the shortest boot_timeout
        if self.goes_on:
            fleet = world.fleet
            assert [w.stage for w in fleet.workers] == [Stage.READY] * fleet.size
            assert {w.generation for w in fleet.workers} == {fleet.generation}
            assert not fleet.candidate


TestFleets = Fleets.TestCase
TestFleets.settings = settings(
    deadline=None, print_blob=True, report_multiple_bugs=False, suppress_health_check=list(HealthCheck)
)


def test_the_model_notices_a_fleet_that_drains_too_early():
    """The check itself: a decision that tells a needed worker to leave must not pass."""
    world = World(Policy(size=2, graceful_timeout=30, boot_timeout=60, timeout=0), 8)
    world.feed(Started())
    for pid in (101, 102):
        world.feed(WorkerReady(pid))
    before = world.fleet
    world.fleet = replace(before, workers=before.workers[:1])
    try:
        world.check_decision(before, Grow(), [Send(102, Order.DRAIN)])
    except AssertionError:
        return
    raise AssertionError("not noticed")
