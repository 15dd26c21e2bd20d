"""What the arbiter decides about a reload and the settings read for it: no process is started here."""

from dataclasses import replace

import pytest
from tests.arbiter.world import POLICY, World, started

from pronghorn.arbiter.actions import Adopt, Discard, Level, Order, StopLoading
from pronghorn.arbiter.decide import next_wakeup
from pronghorn.arbiter.events import (
    Grow,
    Hangup,
    Interrupt,
    SettingsRejected,
    Started,
    Terminate,
    WorkerFailed,
    WorkerReady,
)
from pronghorn.arbiter.reconcile import QUICK
from pronghorn.worker.exits import Exit


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


def test_the_fleet_never_forks_beyond_its_slots():
    world = started(slots=4)
    for _ in range(5):
        world.feed(Hangup()).ready_all()
        assert len(world.alive) <= 4
    for _ in range(5):
        world.obey().ready_all()
    assert set(world.serving()) == {world.fleet.generation}


def test_a_reload_under_preload_says_that_the_code_stays():
    world = started()
    world.fleet = replace(world.fleet, preloaded=True)
    line = world.feed(Hangup()).said[-1][1]
    assert line.endswith("the application's code stays as imported at the start (preload_app): USR2 takes new code")
    world.fleet = replace(world.fleet, irreplaceable="this arbiter is process 1")
    assert world.feed(Hangup()).said[-1][1].endswith(": only a restart takes new code")


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
