"""What the arbiter decides about TTIN, TTOU, USR1 and WINCH: no process is started here."""

from tests.arbiter.world import World, started

from pronghorn.arbiter.actions import Order
from pronghorn.arbiter.events import Grow, Pause, Reopen, Shrink, Started
from pronghorn.arbiter.fleet import Stage


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


def test_winch_drains_a_worker_that_boots_as_well():
    """Its report that it is ready may be on the way, and with it requests."""
    world = started().feed(Grow())
    (booting,) = [worker.pid for worker in world.fleet.workers if worker.stage is Stage.BOOTING]
    world.feed(Pause())
    assert (booting, Order.DRAIN) in world.sent
    assert Order.QUIT not in [order for _, order in world.sent]
