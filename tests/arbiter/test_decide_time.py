"""What the arbiter decides when time passes, and what it forgives: no process is started here."""

from dataclasses import replace

from tests.arbiter.world import POLICY, World, started

from pronghorn.arbiter.actions import Order
from pronghorn.arbiter.decide import next_wakeup
from pronghorn.arbiter.events import Grow, Started, Terminate, Tick, WorkerReady


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


def test_nothing_to_do_means_no_wakeup():
    world = started()
    assert next_wakeup(world.fleet, world.now) is None
