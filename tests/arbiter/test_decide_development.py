"""What the arbiter decides about files that change and applications that are broken: no process is started here."""

from dataclasses import replace

from tests.arbiter.world import POLICY, started

from pronghorn.arbiter.actions import Order
from pronghorn.arbiter.events import (
    FilesChanged,
    Hangup,
    Pause,
    SettingsLoaded,
    Terminate,
    WorkerBroken,
    WorkerReady,
    WorkerTired,
)

POLICY = replace(POLICY, size=3, abrupt=True)


def changed(pid, state="a"):
    return FilesChanged(pid, ("app.py",), state)


def loads(world):
    return sum(text.startswith("reloading") for _, text in world.said)


def test_each_worker_sees_a_change_and_one_reload_comes_of_it():
    world = started(POLICY)
    for pid in (101, 102, 103):
        world.feed(changed(pid))
    assert loads(world) == 1
    assert world.said[-2][1] == "changed: app.py"
    world.ready_all().feed(changed(101)).obey()
    assert loads(world) == 1
    assert world.serving() == [2, 2, 2]


def test_only_a_hup_was_asked_for():
    """Hooks are told of a reload that somebody asked for, also if a change begins it anew."""
    world = started(POLICY).feed(changed(101))
    assert world.asked == [False]
    world.loads_at_once = False
    world.feed(Hangup()).feed(changed(101, "b")).feed(SettingsLoaded(4, POLICY)).feed(changed(101, "c"))
    assert world.asked == [False, True, True, False]


def test_a_newer_change_begins_the_reload_anew():
    world = started(POLICY).feed(changed(101)).feed(changed(102, "b"))
    assert loads(world) == 2
    assert world.ready_all().obey().serving() == [3, 3, 3]


def test_all_old_workers_go_as_soon_as_one_is_ready():
    world = started(POLICY).feed(changed(101))
    assert world.sent == []
    world.feed(WorkerReady(104))
    assert world.sent == [(pid, Order.DRAIN) for pid in (101, 102, 103)]
    assert world.serving() == [2]
    assert [generation for _, _, generation in world.spawns[3:]] == [2, 2, 2]


def test_recycled_workers_still_wait_for_their_replacement():
    world = started(POLICY).feed(WorkerTired(101))
    assert world.serving() == [1, 1, 1]
    assert world.sent == []


def test_a_worker_that_leaves_may_have_seen_the_last_change():
    world = started(POLICY).feed(changed(101)).feed(WorkerReady(104)).feed(changed(101, "b"))
    assert loads(world) == 2


def test_a_server_that_stops_or_rests_does_not_reload():
    for event in (Terminate(), Pause()):
        world = started(POLICY).feed(event).feed(changed(101))
        assert loads(world) == 0


def test_a_stranger_is_not_heard():
    assert loads(started(POLICY).feed(changed(999))) == 0


def test_a_change_while_settings_are_read():
    world = started(POLICY)
    world.loads_at_once = False
    world.feed(changed(101)).feed(changed(101, "b")).feed(SettingsLoaded(2, POLICY)).feed(SettingsLoaded(3, POLICY))
    assert [generation for _, _, generation in world.spawns[3:]] == [3]


def test_why_an_application_is_broken_is_said_once_for_each_generation():
    world = started(POLICY).feed(changed(101)).feed(WorkerBroken(104, "no module", "Traceback\n")).ready_all()
    for pid in (105, 106):
        world.feed(WorkerBroken(pid, "no module", "Traceback\n"))
    assert world.errors() == ["Traceback", "no module; every request is answered with that until a file changes"]
    world.obey().feed(changed(104, "b")).feed(WorkerBroken(107, "no module"))
    assert len(world.errors()) == 3
