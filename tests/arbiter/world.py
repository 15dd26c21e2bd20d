"""Processes that exist only on paper: what the tests of the arbiter's decisions play with."""

import math

from pronghorn.arbiter.actions import Leave, Level, LoadSettings, Say, Send, Spawn
from pronghorn.arbiter.decide import decide, next_wakeup
from pronghorn.arbiter.events import (
    Exited,
    SettingsLoaded,
    SettingsRejected,
    Spawned,
    SpawnFailed,
    Started,
    Tick,
    WorkerReady,
)
from pronghorn.arbiter.fleet import Fleet, Policy, Stage

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
