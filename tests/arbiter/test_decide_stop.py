"""What the arbiter decides about TERM, INT and the delay before a drain: no process is started here."""

from dataclasses import replace

from tests.arbiter.world import POLICY, World, started

from pronghorn.arbiter.actions import CloseListeners, Discard, Level, Order, Withdraw
from pronghorn.arbiter.events import Hangup, Interrupt, Started, Terminate


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


def test_int_stops_quickly():
    world = started().feed(Interrupt())
    assert world.sent == [(101, Order.QUIT), (102, Order.QUIT)]
    assert world.obey().left == 0


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
