"""The arbiter's decisions, as pure functions: no process is started here."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pronghorn.arbiter.actions import (
    Adopt,
    CloseListeners,
    Discard,
    Leave,
    Level,
    LoadSettings,
    Order,
    Say,
    Send,
    Spawn,
    StopLoading,
    Withdraw,
)
from pronghorn.arbiter.deaths import BOOT_ATTEMPTS, LONGEST_DELAY, back_off
from pronghorn.arbiter.decide import decide, next_wakeup
from pronghorn.arbiter.events import (
    Exited,
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
    Terminate,
    Tick,
    WorkerFailed,
    WorkerReady,
    WorkerTired,
)
from pronghorn.arbiter.fleet import Fleet, Phase, Policy, Stage
from pronghorn.arbiter.reconcile import QUICK
from pronghorn.worker.exits import Exit

POLICY = Policy(size=2, graceful_timeout=30.0, boot_timeout=60.0, timeout=0.0)


class World:
    """Processes that exist only on paper, and a clock that moves when it is told to."""

    def __init__(self, policy=POLICY, slots=16):
        self.fleet = Fleet(policy, policy.size, slots)
        self.now = 1000.0
        self.next_pid = 100
        self.alive = {}
        self.sent, self.said, self.spawns, self.done, self.asked = [], [], [], [], []
        self.left = None
        self.fork_fails = False
        self.next_settings = policy
        self.loads_at_once = True

    def feed(self, event):
        waiting = [event]
        while waiting:
            self.fleet, actions = decide(self.fleet, waiting.pop(0), self.now)
            for action in actions:
                waiting.extend(self.perform(action))
            self.check()
        return self

    def perform(self, action):
        match action:
            case Spawn(slot, generation):
                assert self.left is None
                self.spawns.append((self.now, slot, generation))
                if self.fork_fails:
                    return [SpawnFailed(slot, "no memory")]
                self.next_pid += 1
                self.alive[self.next_pid] = generation
                return [Spawned(slot, self.next_pid)]
            case Send(pid, order):
                self.sent.append((pid, order))
            case LoadSettings(generation, asked):
                self.asked.append(asked)
                if self.loads_at_once:
                    return [self.loaded(generation)]
            case Say(level, text):
                self.said.append((level, text))
            case Leave(status):
                self.left = status
            case _:
                self.done.append(action)
        return []

    def loaded(self, generation):
        if self.next_settings is None:
            return SettingsRejected(generation, "misspelt")
        return SettingsLoaded(generation, self.next_settings)

    def check(self):
        """What must hold after every event."""
        slots = [worker.slot for worker in self.fleet.workers]
        assert len(slots) == len(set(slots)), "two processes in one slot"
        pids = [worker.pid for worker in self.fleet.workers if worker.pid is not None]
        assert len(pids) == len(set(pids))

    def exit(self, pid, status=0, signal=0):
        del self.alive[pid]
        return self.feed(Exited(pid, status, signal))

    def ready_all(self):
        for _ in range(50):
            booting = [w.pid for w in self.fleet.workers if w.stage is Stage.BOOTING and not w.why]
            if not booting:
                return self
            for pid in booting:
                self.feed(WorkerReady(pid))
        raise AssertionError("workers never stop booting")

    def obey(self):
        """Every worker told to go, or aborted because it was late, goes."""
        while gone := [
            w.pid for w in self.fleet.workers if (w.stage is Stage.LEAVING or w.why) and w.pid in self.alive
        ]:
            for pid in gone:
                self.exit(pid)
        return self

    def serving(self):
        return sorted(w.generation for w in self.fleet.workers if w.stage is Stage.READY)

    def wait(self, seconds, beats=None):
        """Lets time pass as the loop would see it: with every Tick that is due."""
        until = self.now + seconds
        while self.left is None and (next_wakeup(self.fleet, self.now) or math.inf) <= until:
            self.now = max(self.now, next_wakeup(self.fleet, self.now))
            self.feed(Tick(beats or {}))
        self.now = until
        return self.feed(Tick(beats or {}))

    def errors(self):
        return [text for level, text in self.said if level is Level.ERROR]


def started(policy=POLICY, slots=16):
    return World(policy, slots).feed(Started()).ready_all()


def first_pid(world):
    return min(world.alive)


def test_start_forks_all_workers_at_once():
    world = World().feed(Started())
    assert [spawn[1:] for spawn in world.spawns] == [(0, 1), (1, 1)]
    assert started().serving() == [1, 1]


def test_a_dead_worker_is_replaced_at_once_and_its_end_is_said_once():
    world = started().wait(100)
    world.exit(101, signal=11)
    assert len(world.spawns) == 3
    assert world.errors() == ["worker 1 (pid 101) was killed by SIGSEGV; replaced at once"]


def test_sigkill_is_called_perhaps_out_of_memory():
    world = started().exit(101, signal=9)
    assert "SIGKILL (perhaps out of memory" in world.errors()[0]


def delays_of_young_deaths(*, ready):
    """How long each of nine workers that die one after the other is waited for, the first of them a ready one."""
    world = started(replace(POLICY, size=1))
    delays = []
    for _ in range(9):
        died, spawns = world.now, len(world.spawns)
        world.exit(first_pid(world), signal=11)
        while len(world.spawns) == spawns:
            due = next_wakeup(world.fleet, world.now)
            assert due is not None
            assert due > world.now
            world.now = due
            world.feed(Tick())
        delays.append(world.spawns[-1][0] - died)
        if ready:
            world.ready_all()
    return delays


def test_workers_that_do_not_get_ready_are_backed_off():
    assert delays_of_young_deaths(ready=False) == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_workers_that_die_of_a_request_are_missed_for_a_second_at_most():
    assert delays_of_young_deaths(ready=True) == [0, 1, 1, 1, 1, 1, 1, 1, 1]


def test_winch_drains_a_worker_that_boots_as_well():
    """Its report that it is ready may be on the way, and with it requests."""
    world = started().feed(Grow())
    (booting,) = [worker.pid for worker in world.fleet.workers if worker.stage is Stage.BOOTING]
    world.feed(Pause())
    assert (booting, Order.DRAIN) in world.sent
    assert Order.QUIT not in [order for _, order in world.sent]


def test_a_wave_of_deaths_counts_once():
    world = started(replace(POLICY, size=8))
    world.now += 1
    for pid in sorted(world.alive):
        world.exit(pid, signal=11)
    assert world.fleet.streak.length == 1
    assert len(world.spawns) == 16


def test_a_worker_that_serves_ends_the_streak():
    world = started(replace(POLICY, size=1))
    for _ in range(3):
        world.exit(first_pid(world), signal=11)
        world.wait(4).ready_all()
    assert world.fleet.streak.length == 3
    world.wait(60)
    world.exit(first_pid(world), signal=11)
    assert world.fleet.streak.length == 0


def test_kills_from_outside_are_never_backed_off():
    world = started()
    for _ in range(100):
        world.now += 0.5
        world.exit(first_pid(world), signal=9)
        assert len(world.alive) == 2
        world.ready_all()


def test_an_application_that_cannot_be_loaded_ends_the_first_start():
    world = World().feed(Started())
    world.feed(WorkerFailed(101, "there is no module 'app'"))
    world.exit(101, status=Exit.APPLICATION)
    assert world.fleet.phase is Phase.STOPPING
    assert (102, Order.QUIT) in world.sent
    world.exit(102, status=Exit.APPLICATION)
    assert world.left == Exit.APPLICATION
    assert world.errors() == ["cannot start: there is no module 'app'"]


def test_workers_that_keep_dying_at_first_start_end_the_command():
    world = World().feed(Started())
    for _ in range(100):
        if world.left is not None:
            break
        for pid in sorted(world.alive):
            world.exit(pid, signal=11)
        due = next_wakeup(world.fleet, world.now)
        if due is not None:
            world.now = due
            world.feed(Tick())
    assert world.left == Exit.BOOT
    assert world.fleet.streak.length == BOOT_ATTEMPTS


def test_a_broken_replacement_never_ends_a_server_that_has_served():
    world = started().wait(10)
    world.exit(101, signal=11)
    world.feed(WorkerFailed(103, "SyntaxError"))
    world.exit(103, status=Exit.APPLICATION)
    assert world.fleet.phase is Phase.SERVING
    assert world.serving() == [1]


def test_reload_replaces_one_by_one_and_only_when_the_new_one_is_ready():
    world = started(replace(POLICY, size=3)).feed(Hangup())
    assert world.serving() == [1, 1, 1]
    assert [spawn[2] for spawn in world.spawns[3:]] == [2]
    world.feed(WorkerReady(104))
    assert Adopt(2) in world.done
    assert world.serving() == [1, 1, 2]
    assert world.sent == [(101, Order.DRAIN)]
    assert len(world.spawns) == 5
    world.feed(WorkerReady(105))
    assert world.serving() == [1, 2, 2]
    assert world.ready_all().obey().serving() == [2, 2, 2]


def test_a_reload_that_fails_leaves_the_old_generation_alone():
    world = started().feed(Hangup())
    world.feed(WorkerFailed(103, "application 'app:app': importing 'app' raised SyntaxError: invalid syntax"))
    world.exit(103, status=Exit.APPLICATION)
    assert world.serving() == [1, 1]
    assert world.sent == []
    assert Discard(2) in world.done
    assert world.errors()[-1].endswith("SyntaxError: invalid syntax; generation 1 goes on serving unchanged")
    assert len(world.spawns) == 3


def test_rejected_settings_leave_everything_as_it_is():
    world = started()
    world.next_settings = None
    world.feed(Hangup())
    assert world.serving() == [1, 1]
    assert len(world.spawns) == 2
    assert world.errors() == ["reload failed: misspelt; generation 1 goes on serving unchanged"]


def test_a_new_worker_that_never_gets_ready_is_given_up():
    world = started().feed(Hangup()).wait(60)
    assert world.sent == [(103, Order.ABORT)]
    world.exit(103, signal=6)
    assert world.fleet.candidate is None
    assert "not ready after 60 s (boot_timeout)" in world.errors()[-1]


def test_a_candidate_that_had_to_be_killed_is_no_death_of_its_successor():
    world = started().feed(Hangup()).wait(60 + QUICK)
    assert world.sent == [(103, Order.ABORT), (103, Order.KILL)]
    world.feed(Hangup()).exit(103, signal=9)
    assert world.fleet.streak.length == 0
    assert world.ready_all().obey().serving() == [3, 3]


def test_a_second_reload_supersedes_the_first():
    world = started().feed(Hangup()).feed(Hangup())
    assert (103, Order.DRAIN) in world.sent
    assert Discard(2) in world.done
    world.exit(103, signal=15)
    assert world.ready_all().obey().serving() == [3, 3]


def test_a_generation_that_is_ready_before_any_other_worker_says_so():
    world = World().feed(Started()).feed(Grow()).feed(Hangup())
    candidate = next(w.pid for w in world.fleet.workers if w.generation == 2)
    world.feed(WorkerReady(candidate))
    assert world.fleet.size == 2
    assert (Level.INFO, "generation 2 serves") in world.said


def test_a_reload_may_change_the_number_of_workers():
    world = started(replace(POLICY, size=4))
    world.next_settings = replace(POLICY, size=1)
    assert world.feed(Hangup()).ready_all().obey().serving() == [2]


def test_recycling_makes_the_replacement_ready_first():
    world = started().feed(WorkerTired(101, "max_requests reached"))
    assert world.sent == []
    assert len(world.spawns) == 3
    world.feed(WorkerTired(101))
    assert len(world.spawns) == 3
    world.feed(WorkerReady(103))
    assert world.sent == [(101, Order.DRAIN)]


def test_ttin_and_ttou():
    world = started().feed(Grow()).ready_all()
    assert len(world.serving()) == 3
    world.feed(Shrink()).feed(Shrink()).feed(Shrink())
    assert world.fleet.size == 1
    assert [order for _, order in world.sent] == [Order.DRAIN, Order.DRAIN]


def test_a_storm_of_ttin_is_bounded():
    world = started(slots=16)
    for _ in range(1000):
        world.feed(Grow())
    assert world.fleet.size == 8


def test_usr1_reaches_all_workers():
    assert started().feed(Reopen()).sent == [(101, Order.REOPEN), (102, Order.REOPEN)]


def test_usr1_reaches_workers_that_boot():
    world = World().feed(Started())
    assert not world.fleet.proven
    assert world.feed(Reopen()).sent == [(101, Order.REOPEN), (102, Order.REOPEN)]


def test_term_drains_then_kills():
    world = started().feed(Terminate())
    assert world.sent == [(101, Order.DRAIN), (102, Order.DRAIN)]
    world.exit(101)
    world.wait(29)
    assert len(world.sent) == 2
    world.wait(5)
    assert world.sent[2:] == [(102, Order.KILL)]
    world.exit(102, signal=9)
    assert world.left == 0
    assert len(world.spawns) == 2


def test_a_second_term_means_the_same_as_the_first():
    world = started().feed(Terminate()).wait(2).feed(Terminate()).wait(2).feed(Terminate())
    assert {order for _, order in world.sent} == {Order.DRAIN}
    world.feed(Interrupt())
    assert world.sent[-2:] == [(101, Order.QUIT), (102, Order.QUIT)]


def delayed():
    return started(replace(POLICY, drain_delay=5.0)).feed(Terminate())


def test_before_a_delayed_drain_all_is_served_and_readiness_is_off():
    world = delayed().wait(4.9)
    assert Withdraw() in world.done
    assert CloseListeners() not in world.done
    assert world.sent == []
    world.wait(0.1)
    assert world.sent == [(101, Order.DRAIN), (102, Order.DRAIN)]
    assert world.obey().left == 0


def test_during_the_delay_dead_workers_are_replaced_and_reloads_ignored():
    world = delayed()
    world.exit(101, signal=9)
    assert len(world.ready_all().serving()) == 2
    spawned = len(world.spawns)
    world.feed(Hangup())
    assert len(world.spawns) == spawned
    assert world.said[-1] == (Level.INFO, "HUP is ignored: the server is stopping")


def test_the_delay_gives_up_a_reload_that_is_under_way():
    world = started(replace(POLICY, drain_delay=5.0)).feed(Hangup())
    assert world.feed(Terminate()).sent == [(103, Order.DRAIN)]
    assert Discard(2) in world.done


def test_int_ends_the_delay():
    world = delayed().feed(Terminate()).feed(Interrupt())
    assert world.sent == [(101, Order.QUIT), (102, Order.QUIT)]
    assert world.obey().left == 0


def test_nothing_that_serves_means_no_delay():
    world = World(replace(POLICY, drain_delay=5.0)).feed(Started()).feed(Terminate())
    assert world.obey().left == 0


def test_int_stops_quickly():
    world = started().feed(Interrupt())
    assert world.sent == [(101, Order.QUIT), (102, Order.QUIT)]
    assert world.obey().left == 0


def test_a_silent_worker_is_aborted_and_replaced():
    world = started(replace(POLICY, timeout=30.0))
    beats = {101: world.now, 102: world.now}
    for _ in range(31):
        world.now += 1
        beats[102] = world.now
        world.feed(Tick(beats))
    assert world.sent == [(101, Order.ABORT)]
    assert len(world.spawns) == 3
    world.now += 1
    world.feed(Tick({102: world.now}))
    world.now += 2
    world.feed(Tick({102: world.now}))
    assert world.sent[-1] == (101, Order.KILL)


def test_a_short_timeout_is_for_requests_and_never_for_a_worker_that_is_well():
    world = started(replace(POLICY, timeout=0.1))
    for _ in range(3):
        beats = dict.fromkeys((101, 102), world.now)
        for _ in range(4):
            world.now += 1
            world.feed(Tick(beats))
    assert world.sent == []
    for _ in range(2):
        world.now += 1
        world.feed(Tick(beats))
    assert {pid for pid, order in world.sent if order is Order.ABORT} == {101, 102}


def test_time_that_the_arbiter_itself_lost_is_nobodys_silence():
    world = started(replace(POLICY, timeout=30.0))
    beats = {101: world.now, 102: world.now}
    world.feed(Tick(beats))
    world.now += 61
    world.feed(Tick(beats))
    assert world.sent == []


def test_time_that_the_arbiter_lost_is_added_to_every_deadline():
    world = started().feed(Terminate()).wait(5)
    world.now += 500
    world.feed(Tick()).wait(20)
    assert {order for _, order in world.sent} == {Order.DRAIN}
    world.wait(7)
    assert world.sent[-1] == (102, Order.KILL)


def test_a_worker_that_reported_while_the_arbiter_was_away_is_not_late():
    world = World().feed(Started())
    world.now += 500
    world.feed(Grow()).feed(WorkerReady(101)).feed(WorkerReady(102))
    assert world.sent == []


def test_settings_are_awaited_while_everything_goes_on():
    world = started()
    world.loads_at_once = False
    world.feed(Hangup())
    world.exit(101, signal=9)
    assert world.ready_all().serving() == [1, 1]
    world.feed(world.loaded(2)).ready_all().obey()
    assert world.serving() == [2, 2]


def test_settings_that_are_never_read_are_given_up():
    world = started()
    world.loads_at_once = False
    world.feed(Hangup()).wait(60)
    assert world.done == [StopLoading(Order.ABORT)]
    assert "the settings could not be read within 60 s (boot_timeout)" in world.errors()[0]
    world.wait(3)
    assert world.done[-1] == StopLoading(Order.KILL)
    assert next_wakeup(world.fleet, world.now) is None
    assert len(world.errors()) == 1


def test_the_end_of_a_reading_that_was_given_up_is_not_said_again():
    world = started()
    world.loads_at_once = False
    world.feed(Hangup()).wait(60)
    world.feed(SettingsRejected(2, "was killed by SIGABRT"))
    assert world.fleet.loading is None
    assert len(world.errors()) == 1


def test_a_hangup_during_a_reading_starts_anew():
    world = started()
    world.loads_at_once = False
    world.feed(Hangup()).feed(Hangup())
    world.feed(world.loaded(2))
    assert world.fleet.candidate is None
    assert world.done == [Discard(2)]
    assert world.feed(world.loaded(3)).ready_all().obey().serving() == [3, 3]


@pytest.mark.parametrize("stop", [Terminate(), Interrupt()])
def test_a_stop_ends_a_reading(stop):
    world = started()
    world.loads_at_once = False
    world.feed(Hangup()).feed(stop)
    assert StopLoading(Order.KILL) in world.done
    assert world.feed(world.loaded(2)).obey().left == 0


def test_a_reload_under_preload_says_that_the_code_stays():
    world = started()
    world.fleet = replace(world.fleet, preloaded=True)
    line = world.feed(Hangup()).said[-1][1]
    assert line.endswith("the application's code stays as imported at the start (preload_app): USR2 takes new code")
    world.fleet = replace(world.fleet, irreplaceable="this arbiter is process 1")
    assert world.feed(Hangup()).said[-1][1].endswith(": only a restart takes new code")


def tired(count, at_once):
    world = started(replace(POLICY, size=4, recycle_at_once=at_once))
    for pid in sorted(world.alive)[:count]:
        world.feed(WorkerTired(pid, "its memory is 312 MiB (setting `max_memory` 300 MiB)"))
    return world


def test_recycling_waits_until_the_worker_before_is_gone():
    world = tired(4, 1)
    assert len(world.spawns) == 5
    world.feed(WorkerReady(105))
    assert world.sent == [(101, Order.DRAIN)]
    assert len(world.spawns) == 5
    world.exit(101)
    assert len(world.spawns) == 6
    for _ in range(4):
        world.ready_all().obey()
    assert sorted(world.alive) == [105, 106, 107, 108]


def test_several_may_be_recycled_at_once():
    assert len(tired(4, 3).spawns) == 7
    assert len(tired(2, 3).spawns) == 6


def test_a_reload_does_not_wait_for_workers_that_are_recycled():
    world = tired(1, 1).feed(WorkerReady(105)).feed(Hangup()).ready_all()
    assert world.serving() == [2, 2, 2, 2]


def test_a_failed_fork_is_tried_again_later():
    world = started(replace(POLICY, size=1)).wait(10)
    world.fork_fails = True
    world.exit(101, signal=9)
    assert len(world.spawns) == 2
    due = next_wakeup(world.fleet, world.now)
    assert due is not None
    assert due >= world.now + 1
    world.fork_fails = False
    assert world.wait(1).ready_all().serving() == [1]


def test_nothing_to_do_means_no_wakeup():
    world = started()
    assert next_wakeup(world.fleet, world.now) is None


def test_the_fleet_never_forks_beyond_its_slots():
    world = started(slots=4)
    for _ in range(5):
        world.feed(Hangup()).ready_all()
        assert len(world.alive) <= 4
    for _ in range(5):
        world.obey().ready_all()
    assert set(world.serving()) == {world.fleet.generation}


@given(st.integers(min_value=0, max_value=10_000))
def test_back_off_is_bounded_and_never_falls(length):
    assert 0 <= back_off(length) <= back_off(length + 1) <= LONGEST_DELAY


NAMES = ["ready", "die", "killed", "leave", "fail", "hup", "badhup", "ttin", "ttou", "usr1", "tired", "tick", "wait"]
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 100)), max_size=40)


def act(world, step, pick):
    pids = sorted(world.alive)
    pid = pids[pick % len(pids)] if pids else None
    match step:
        case "ready" if pid:
            world.feed(WorkerReady(pid))
        case "die" if pid:
            world.exit(pid, signal=11)
        case "killed" if pid:
            world.exit(pid, signal=9)
        case "leave" if pid:
            world.exit(pid)
        case "fail" if pid:
            world.feed(WorkerFailed(pid, "broken"))
            world.exit(pid, status=Exit.APPLICATION)
        case "hup" | "badhup":
            world.next_settings = replace(POLICY, size=1 + pick % 4) if step == "hup" else None
            world.feed(Hangup())
        case "ttin":
            world.feed(Grow())
        case "ttou":
            world.feed(Shrink())
        case "usr1":
            world.feed(Reopen())
        case "tired" if pid:
            world.feed(WorkerTired(pid))
        case "wait":
            world.wait(pick % 40)
        case _:
            world.feed(Tick())


def end(world):
    """Lets time pass in a world where a worker only goes when it is killed. Whether the command ended."""
    for _ in range(1000):
        for pid in [pid for pid, order in world.sent if order is Order.KILL and pid in world.alive]:
            world.exit(pid, signal=9)
        if world.left is not None:
            return True
        due = next_wakeup(world.fleet, world.now)
        if due is None:
            return False
        world.now = max(world.now, due)
        world.feed(Tick())
    return False


@settings(max_examples=200, deadline=None)
@given(STEPS, st.sampled_from([0.0, 30.0]))
def test_term_always_ends_the_command(steps, timeout):
    world = World(replace(POLICY, timeout=timeout)).feed(Started())
    for step, pick in steps:
        if world.left is None:
            act(world, step, pick)
    if world.left is None:
        began = world.now
        world.feed(Terminate())
        assert end(world)
        assert world.now - began <= POLICY.graceful_timeout + 5
    assert not world.alive


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_left_alone_the_fleet_becomes_complete_and_of_one_generation(steps):
    world = started()
    for step, pick in steps:
        act(world, step, pick)
    for _ in range(40):
        world.ready_all().obey()
        world.wait(LONGEST_DELAY)
    assert len(world.serving()) == world.fleet.size
    assert set(world.serving()) == {world.fleet.generation}


@pytest.mark.parametrize("step", ["hup", "die", "killed", "leave", "tick", "wait"])
def test_no_wakeup_lies_in_the_past(step):
    world = started(replace(POLICY, timeout=30.0))
    for pick in range(20):
        act(world, step, pick)
        world.feed(Tick())
        assert (next_wakeup(world.fleet, world.now) or math.inf) > world.now
