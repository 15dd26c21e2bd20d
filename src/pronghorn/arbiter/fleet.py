"""What the arbiter knows about its workers: frozen data, no behaviour beyond reading itself."""

from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """Where the life of the whole fleet stands."""

    SERVING = "serving"
    STOPPING = "stopping"
    GONE = "gone"


class Stage(Enum):
    """Where the life of one worker stands, as the arbiter sees it."""

    FORKING = "forking"
    """Decided, not yet forked: holds the slot so that nothing is decided twice."""
    BOOTING = "booting"
    READY = "ready"
    LEAVING = "leaving"
    """Told to drain, to quit or to abort: never counted as serving again, gone at `kill_at` at the latest."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of one generation that the arbiter's decisions depend on. Times in seconds.

    Arguments:
        size: workers wanted, at least 1.
        graceful_timeout: how long a draining worker may take before it is killed.
        boot_timeout: how long a worker may take from its fork until it is ready.
        timeout: silence of a worker's heartbeat after which it counts as hung; 0 switches the check off.
        drain_delay: how long a fleet that was told to stop still accepts, saying that it is not ready.
        recycle_at_once: workers that may be in recycling at the same time, from the fork of the replacement until the
            old one is gone.
        abrupt: whether all workers of an older generation leave as soon as one of the new is ready: no request meets
            old code once it is known to be old.
    """

    size: int
    graceful_timeout: float
    boot_timeout: float
    timeout: float
    drain_delay: float = 0.0
    recycle_at_once: int = 1
    abrupt: bool = False


@dataclass(frozen=True, slots=True)
class Worker:
    """One child process. Times are monotonic seconds."""

    slot: int
    generation: int
    stage: Stage
    born: float
    pid: int | None = None
    ready_at: float | None = None
    retiring: bool = False
    """Asked to be recycled: serves on until its replacement is ready."""
    kill_at: float | None = None
    why: str = ""
    """What it reported before it failed, or why it was stopped."""
    trace: str = ""

    @property
    def name(self) -> str:
        """How log lines call it."""
        return f"worker {self.slot + 1} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive young deaths. A wave of workers that die together counts once, see `deaths.count_death`."""

    length: int = 0
    since: float = float("-inf")
    not_before: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A generation that waits for its first worker to be ready."""

    generation: int
    policy: Policy


@dataclass(frozen=True, slots=True)
class Successor:
    """The new arbiter of an upgrade (`upgrade.py`)."""

    pid: int | None = None
    ready: bool = False
    kill_at: float | None = None
    """Monotonic second at which it is stopped if it is not ready; killed, once it is `late`."""
    late: bool = False
    manual: bool = False
    """An operator has taken part (WINCH, HUP): this arbiter does not leave by itself."""
    why: str = ""

    @property
    def name(self) -> str:
        """How log lines call it."""
        return f"pid {self.pid}"


@dataclass(frozen=True, slots=True)
class Loading:
    """Settings that are being read for `generation`, in a process of their own, which may take until `kill_at`."""

    generation: int
    kill_at: float
    asked: bool = True
    """Somebody sent HUP; otherwise files have changed."""
    overdue: bool = False
    """It was told to give up, and the log says so."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that decisions are made from.

    Arguments:
        policy: of the serving generation.
        size: workers wanted now; starts as `policy.size`, changed by TTIN and TTOU.
        slots: processes that may exist at once, drainers included (the scoreboard's length).
        preloaded: the arbiter has imported the application, so no reload can change its code.
        irreplaceable: why this arbiter cannot be upgraded in place; empty if it can.
        predecessor: process id of the arbiter that started this one in an upgrade, until it is gone; 0 if none.
        announced: whether it was told that this one is ready.
        successor: the new arbiter that this one has started.
        paused: no worker is wanted, because of WINCH or because the successor serves.
        proven: whether any worker has ever been ready; until then a failing application ends the command.
        changes: what the files were like that the last reload for a change was begun for.
        explained: the generation whose application could not be imported, once the log says why.
        failure: why the last reload or upgrade has changed nothing; empty as soon as another begins.
    """

    policy: Policy
    size: int
    slots: int
    preloaded: bool = False
    generation: int = 1
    newest: int = 1
    loading: Loading | None = None
    candidate: Candidate | None = None
    irreplaceable: str = ""
    predecessor: int = 0
    announced: bool = False
    successor: Successor | None = None
    paused: bool = False
    phase: Phase = Phase.SERVING
    status: int = 0
    drain_at: float | None = None
    """When a stop that was asked for begins; until then everything is served."""
    hurried: bool = False
    proven: bool = False
    changes: str = ""
    explained: int = 0
    failure: str = ""
    workers: tuple[Worker, ...] = ()
    streak: Streak = Streak()
    ticked: float | None = None
    """The last Tick; None while nothing is watched."""
    amnesty: float = float("-inf")
    """No worker is called silent for the time before this: the arbiter itself was not running."""

    def by_pid(self, pid: int) -> Worker | None:
        """The worker with this process id, if it is one of ours."""
        return next((worker for worker in self.workers if worker.pid == pid), None)

    def free_slots(self) -> list[int]:
        """Slots that no process holds, lowest first."""
        taken = {worker.slot for worker in self.workers}
        return [slot for slot in range(self.slots) if slot not in taken]

    def fresh(self) -> list[Worker]:
        """Workers of the serving generation that serve or will."""
        return [
            w
            for w in self.workers
            if w.generation == self.generation and w.stage is not Stage.LEAVING and not w.retiring
        ]

    def recycling(self) -> int:
        """Workers on their way to be recycled: they were told to leave after a replacement was ready."""
        return sum(w.retiring and w.generation == self.generation and w.stage is Stage.LEAVING for w in self.workers)

    def outdated(self) -> list[Worker]:
        """Workers that serve, but only until a fresh one takes over."""
        return [w for w in self.workers if w.stage is Stage.READY and (w.retiring or w.generation < self.generation)]
