"""What can happen to the arbiter: the input of `decide`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pronghorn.arbiter.fleet import Policy


@dataclass(frozen=True, slots=True)
class Started:
    """The listeners are open; workers may be forked."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. `heartbeats` maps a pid to the monotonic second it last showed life."""

    heartbeats: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spawned:
    """The process for `slot` exists."""

    slot: int
    pid: int


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """The kernel refused to fork for `slot`."""

    slot: int
    why: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker accepts connections."""

    pid: int


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """A worker says why it cannot serve; its exit follows. `trace` is the application's own traceback, if any."""

    pid: int
    why: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class WorkerTired:
    """A worker wants to be replaced (max_requests, or a thread that is stuck for good)."""

    pid: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class FilesChanged:
    """A worker found that `files` are not what it has imported; `state` names what they are like now."""

    pid: int
    files: tuple[str, ...]
    state: str


@dataclass(frozen=True, slots=True)
class WorkerBroken:
    """A worker could not import the application, and serves why instead: as in WorkerFailed, without an exit."""

    pid: int
    why: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Exited:
    """A worker is gone: exit `status`, or the `signal` that killed it (0 if none)."""

    pid: int
    status: int = 0
    signal: int = 0


@dataclass(frozen=True, slots=True)
class Terminate:
    """SIGTERM: drain and stop."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """SIGINT or SIGQUIT: stop quickly."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """SIGHUP: reload."""


@dataclass(frozen=True, slots=True)
class SettingsLoaded:
    """New settings for generation `generation` are complete, its listeners open."""

    generation: int
    policy: Policy


@dataclass(frozen=True, slots=True)
class SettingsRejected:
    """The settings for generation `generation` could not be used."""

    generation: int
    why: str


@dataclass(frozen=True, slots=True)
class Grow:
    """SIGTTIN: one worker more."""


@dataclass(frozen=True, slots=True)
class Shrink:
    """SIGTTOU: one worker less."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """SIGUSR1: reopen the log files."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """SIGUSR2: start a new arbiter beside this one."""


@dataclass(frozen=True, slots=True)
class Pause:
    """SIGWINCH: drain all workers and stay."""


@dataclass(frozen=True, slots=True)
class SuccessorStarted:
    """The process of the new arbiter exists."""

    pid: int


@dataclass(frozen=True, slots=True)
class SuccessorReady:
    """All workers of the new arbiter are ready."""


@dataclass(frozen=True, slots=True)
class SuccessorFailed:
    """The new arbiter says why it cannot serve, or could not be started at all."""

    why: str


@dataclass(frozen=True, slots=True)
class SuccessorEnded:
    """The process of the new arbiter is gone, as in Exited."""

    pid: int
    status: int = 0
    signal: int = 0


@dataclass(frozen=True, slots=True)
class PredecessorGone:
    """The arbiter that started this one in an upgrade is gone."""


UpgradeEvent = Upgrade | Pause | SuccessorStarted | SuccessorReady | SuccessorFailed | SuccessorEnded | PredecessorGone

Event = (
    Started
    | Tick
    | Spawned
    | SpawnFailed
    | WorkerReady
    | WorkerFailed
    | WorkerTired
    | FilesChanged
    | WorkerBroken
    | Exited
    | Terminate
    | Interrupt
    | Hangup
    | SettingsLoaded
    | SettingsRejected
    | Grow
    | Shrink
    | Reopen
    | UpgradeEvent
)
