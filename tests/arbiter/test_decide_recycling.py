"""What the arbiter decides about workers that ask to be replaced: no process is started here."""

from dataclasses import replace

from tests.arbiter.world import POLICY, started

from pronghorn.arbiter.actions import Order
from pronghorn.arbiter.events import Hangup, WorkerReady, WorkerTired


def tired(count, at_once):
    world = started(replace(POLICY, size=4, recycle_at_once=at_once))
    for pid in sorted(world.alive)[:count]:
        world.feed(WorkerTired(pid, "its memory is 312 MiB (setting `max_memory` 300 MiB)"))
    return world


def test_recycling_makes_the_replacement_ready_first():
    world = started().feed(WorkerTired(101, "max_requests reached"))
    assert world.sent == []
    assert len(world.spawns) == 3
    world.feed(WorkerTired(101))
    assert len(world.spawns) == 3
    world.feed(WorkerReady(103))
    assert world.sent == [(101, Order.DRAIN)]


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
