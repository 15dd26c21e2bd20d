"""Decisions about an upgrade and a pause, as pure functions: no process is started here."""

from collections import deque
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pronghorn.arbiter.actions import (
    Leave,
    Order,
    Promote,
    ReportReady,
    Say,
    Send,
    Spawn,
    StartSuccessor,
    TellSuccessor,
)
from pronghorn.arbiter.decide import decide, next_wakeup
from pronghorn.arbiter.events import (
    Exited,
    Hangup,
    Interrupt,
    Pause,
    PredecessorGone,
    SettingsLoaded,
    Spawned,
    Started,
    SuccessorEnded,
    SuccessorFailed,
    SuccessorReady,
    SuccessorStarted,
    Terminate,
    Tick,
    Upgrade,
    WorkerReady,
)
from pronghorn.arbiter.fleet import Fleet, Phase, Policy, Stage

POLICY = Policy(size=2, graceful_timeout=30.0, boot_timeout=60.0, timeout=0.0)
NEW = 900
"""The successor's pid."""


class World:
    """An arbiter whose workers do at once what they are told; the test plays the successor."""

    def __init__(self, **fleet):
        self.fleet = Fleet(POLICY, 2, 16, **fleet)
        self.now = 1000.0
        self.pids = iter(range(101, 900))
        self.orders, self.said, self.upgrades = [], [], []
        self.left = None
        self.stubborn = False
        self.feed(Started())

    def feed(self, *events):
        for event in events:
            waiting = deque([event])
            while waiting:
                self.fleet, actions = decide(self.fleet, waiting.popleft(), self.now)
                for action in actions:
                    waiting.extend(self.perform(action))
        return self

    def perform(self, action):
        match action:
            case Spawn(slot, _):
                pid = next(self.pids)
                return [Spawned(slot, pid), WorkerReady(pid)]
            case Send(pid, order):
                self.orders.append(order)
                if order in (Order.DRAIN, Order.QUIT, Order.KILL) and not (self.stubborn and order is Order.DRAIN):
                    return [Exited(pid)]
            case StartSuccessor():
                self.upgrades.append(action)
                return [SuccessorStarted(NEW)]
            case TellSuccessor() | ReportReady() | Promote():
                self.upgrades.append(action)
            case Say(_, text):
                self.said.append(text)
            case Leave(status):
                self.left = status
        return []

    def wait(self, seconds):
        self.now += seconds
        return self.feed(Tick())

    def ready(self):
        return sum(worker.stage is Stage.READY for worker in self.fleet.workers)


def test_an_upgrade_ends_with_status_0():
    world = World().feed(Upgrade())
    assert world.ready() == 2
    world.feed(SuccessorReady())
    assert world.orders == [Order.DRAIN, Order.DRAIN]
    assert world.left == 0


def test_it_leaves_only_when_its_last_worker_has():
    world = World()
    world.stubborn = True
    world.feed(Upgrade(), SuccessorReady())
    assert world.left is None
    world.feed(*(Exited(worker.pid) for worker in world.fleet.workers))
    assert world.left == 0


def test_a_worker_that_does_not_drain_is_killed_and_holds_nothing_up():
    world = World()
    world.stubborn = True
    world.feed(Upgrade(), SuccessorReady()).wait(1)
    for _ in range(40):
        world.wait(1)
    assert world.orders.count(Order.KILL) == 2
    assert world.left == 0


def test_a_failed_upgrade_touches_nothing():
    world = World().feed(Upgrade(), SuccessorFailed("cannot start: SyntaxError"), SuccessorEnded(NEW, status=3))
    assert world.orders == []
    assert world.ready() == 2
    assert world.said[-1] == "upgrade failed: cannot start: SyntaxError; this arbiter goes on serving unchanged"
    assert world.fleet.successor is None
    assert world.feed(Upgrade()).upgrades == [StartSuccessor(), StartSuccessor()]


def test_a_successor_that_is_late_is_stopped_then_killed():
    world = World().feed(Upgrade())
    assert next_wakeup(world.fleet, world.now) <= world.now + 60
    for _ in range(61):
        world.wait(1)
    assert world.upgrades[1:] == [TellSuccessor(Order.QUIT)]
    for _ in range(4):
        world.wait(1)
    assert world.upgrades[1:] == [TellSuccessor(Order.QUIT), TellSuccessor(Order.KILL)]
    world.feed(SuccessorEnded(NEW, signal=9))
    assert "was not ready after 60 s (boot_timeout)" in world.said[-1]
    assert world.ready() == 2


def test_time_in_which_the_arbiter_did_not_run_is_not_the_successors():
    world = World().feed(Upgrade()).wait(1).wait(3600)
    assert TellSuccessor(Order.QUIT) not in world.upgrades


def test_one_upgrade_at_a_time():
    world = World().feed(Upgrade(), Upgrade())
    assert world.upgrades == [StartSuccessor()]
    assert world.said[-1] == "USR2 is ignored: an upgrade is under way, the new arbiter (pid 900) starts"


def test_usr2_where_it_cannot_be():
    for fleet, words in [
        ({"irreplaceable": "this arbiter is process 1"}, "this arbiter is process 1"),
        ({"predecessor": 7}, "the old arbiter (pid 7) of the last upgrade has not left yet"),
    ]:
        world = World(**fleet).feed(Upgrade())
        assert world.said[-1] == f"USR2 is ignored: {words}"
        assert StartSuccessor() not in world.upgrades
    stopping = World()
    stopping.stubborn = True
    assert stopping.feed(Terminate(), Upgrade()).said[-1] == "USR2 is ignored: the server is stopping"


def test_winch_before_the_new_one_is_ready_costs_no_worker():
    world = World().feed(Upgrade(), Pause())
    assert world.ready() == 2
    world.feed(SuccessorReady())
    assert world.ready() == 0
    assert world.left is None
    assert world.feed(Terminate()).left == 0


def test_hup_takes_everything_back():
    world = World().feed(Upgrade(), Pause(), SuccessorReady(), Hangup())
    assert world.ready() == 2
    assert world.fleet.generation == 1
    world.feed(SuccessorEnded(NEW))
    assert world.said[-1] == "the new arbiter (pid 900) has left: this one goes on"
    assert world.left is None


def test_hup_while_it_drains_takes_everything_back():
    world = World()
    world.stubborn = True
    world.feed(Upgrade(), SuccessorReady(), Hangup())
    assert world.ready() == 2
    assert world.left is None


def test_the_end_of_the_new_one_takes_everything_back():
    world = World().feed(Upgrade(), Pause(), SuccessorReady(), SuccessorEnded(NEW, signal=9))
    assert world.ready() == 2
    assert any("was killed by SIGKILL" in text and "starts its workers again" in text for text in world.said)


def test_winch_gives_up_a_reload():
    world = World().feed(Hangup(), Pause(), SettingsLoaded(2, POLICY))
    assert world.fleet.workers == ()
    world.feed(Hangup())
    assert world.ready() == 2
    assert world.fleet.generation == 1


def test_the_new_one_reports_once_when_all_are_ready():
    world = World(predecessor=7)
    assert world.upgrades == [ReportReady()]
    world.feed(PredecessorGone())
    assert world.upgrades == [ReportReady(), Promote()]
    assert world.fleet.predecessor == 0


SIGNALS = st.sampled_from([
    Upgrade(), Pause(), Hangup(), Tick(), SuccessorReady(), SuccessorFailed("broken"), SuccessorEnded(NEW, status=1),
    SuccessorEnded(NEW), PredecessorGone(), "settings", "stubborn", "obey", "time",
])  # fmt: skip


@settings(max_examples=100)
@given(st.lists(SIGNALS, max_size=25), st.booleans(), st.sampled_from([Terminate(), Interrupt()]))
def test_any_sequence_leads_to_a_defined_state(events, is_new, stop):
    world = World(predecessor=7 if is_new else 0)
    for event in events:
        match event:
            case "settings":
                world.feed(SettingsLoaded(world.fleet.newest, POLICY))
            case "stubborn" | "obey":
                world.stubborn = event == "stubborn"
            case "time":
                world.wait(1)
            case _:
                world.feed(event)
        if world.left is not None:
            break
        fleet = world.fleet
        serving = [w for w in fleet.workers if w.stage is not Stage.LEAVING]
        assert fleet.paused == (not serving), "paused without a reason, or workers in a pause"
        assert not (fleet.paused and (fleet.candidate or fleet.loading))
    if world.left is None:
        world.feed(stop)
        for _ in range(40):
            world.wait(1)
    assert world.left == 0
    assert world.fleet.phase is Phase.GONE
    assert world.fleet.workers == ()


def test_a_pause_wakes_nobody():
    world = World().feed(Pause())
    fleet = replace(world.fleet, streak=replace(world.fleet.streak, not_before=world.now + 5))
    assert next_wakeup(fleet, world.now) is None
