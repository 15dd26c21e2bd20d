"""What the arbiter can do: the output of `decide`, carried out by `perform`."""

from dataclasses import dataclass
from enum import Enum


class Order(Enum):
    """What a worker can be told; `perform` knows the signal of each."""

    DRAIN = "drain"
    QUIT = "quit"
    ABORT = "abort"
    """Dump the stacks of all threads and die."""
    KILL = "kill"
    REOPEN = "reopen"


class Level(Enum):
    """How loud a line is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Spawn:
    """Fork a worker of `generation` into `slot`; answers with Spawned or SpawnFailed."""

    slot: int
    generation: int


@dataclass(frozen=True, slots=True)
class Send:
    """Give one worker an order."""

    pid: int
    order: Order


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """Begin to build the settings of `generation`, in place of any that are being built.

    SettingsLoaded or SettingsRejected comes of it, sooner or later. Where somebody asked for it (HUP), `on_reload` is
    called in between.
    """

    generation: int
    asked: bool = True


@dataclass(frozen=True, slots=True)
class StopLoading:
    """ABORT or KILL the process that builds settings. After KILL nothing more is heard of it."""

    order: Order


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Tell all workers to say that they are not ready, while they go on serving."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """`generation` serves now: what only earlier ones needed may go."""

    generation: int


@dataclass(frozen=True, slots=True)
class Discard:
    """`generation` will never serve: what only it needed may go."""

    generation: int


@dataclass(frozen=True, slots=True)
class CloseListeners:
    """Close the arbiter's copies: once the workers have emptied the accept queue, new connections are refused."""


@dataclass(frozen=True, slots=True)
class ReopenLogs:
    """Reopen the arbiter's own log files, and those that workers forked from now on inherit."""


@dataclass(frozen=True, slots=True)
class Say:
    """Write one line to the error log."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Leave:
    """End the command with `status`."""

    status: int


@dataclass(frozen=True, slots=True)
class StartSuccessor:
    """Run the command again as a new arbiter that inherits the listeners; answers with SuccessorStarted or Failed."""


@dataclass(frozen=True, slots=True)
class TellSuccessor:
    """Give the new arbiter an order."""

    order: Order


@dataclass(frozen=True, slots=True)
class ReportReady:
    """Tell the arbiter that started this one that its workers are not needed any more."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Own the pidfile and the socket files: the arbiter that had them is gone."""


UpgradeAction = StartSuccessor | TellSuccessor | ReportReady | Promote
FleetAction = Spawn | Send | LoadSettings | StopLoading | Withdraw | Adopt | Discard | CloseListeners | ReopenLogs
Action = FleetAction | UpgradeAction | Say | Leave
