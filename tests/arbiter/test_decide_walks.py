"""Where the arbiter's decisions lead, from short random histories: no process is started here.

test_decide_properties.py looks at every step, and knows more that can happen: a history of it seldom has time for a
reload between all that. With few kinds of steps a replacement that is never forked shows here in seconds, not there.
"""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.arbiter.world import POLICY, World, started

from pronghorn.arbiter.actions import Order
from pronghorn.arbiter.deaths import LONGEST_DELAY
from pronghorn.arbiter.decide import next_wakeup
from pronghorn.arbiter.events import (
    Grow,
    Hangup,
    Reopen,
    Shrink,
    Started,
    Terminate,
    Tick,
    WorkerFailed,
    WorkerReady,
    WorkerTired,
)
from pronghorn.worker.exits import Exit

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
