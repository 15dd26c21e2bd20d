"""What the arbiter decides about first starts, deaths and forks that fail: no process is started here."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.arbiter.world import POLICY, World, first_pid, started

from pronghorn.arbiter.actions import Order
from pronghorn.arbiter.deaths import BOOT_ATTEMPTS, LONGEST_DELAY, back_off
from pronghorn.arbiter.decide import next_wakeup
from pronghorn.arbiter.events import Started, Tick, WorkerFailed
from pronghorn.arbiter.fleet import Phase
from pronghorn.worker.exits import Exit


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


@given(st.integers(min_value=0, max_value=10_000))
def test_back_off_is_bounded_and_never_falls(length):
    assert 0 <= back_off(length) <= back_off(length + 1) <= LONGEST_DELAY


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
