"""Tells systemd how the server is (sd_notify(3)): ready, reloading, stopping, alive, in other hands.

Ready means that one worker is ready: from then on requests are answered, and those that wait in the listeners' queues
are not lost. Waiting for all workers would only delay what is ordered behind the service.

What is said is a function of the fleet; messages are the difference to what was said before. A supervisor that does
not listen never hurts: sending does not wait, and a failure is logged once.
"""

import logging
import os
import socket
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from pronghorn.arbiter.fleet import Fleet, Phase, Stage
from pronghorn.linux import socket_name

NOTIFY_SOCKET = "NOTIFY_SOCKET"
WATCHDOG_USEC = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"
VARIABLES = (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID)

FRESH = 3.0
"""Seconds for which a heartbeat shows life at least: workers give one each second."""

LONGEST_REASON = 300
"""Characters of what a status says about a failure; the log has all of it."""

log = logging.getLogger("pronghorn.error")


class Service(Enum):
    """The service as systemd sees it."""

    STARTING = "starting"
    SERVING = "serving"
    RELOADING = "reloading"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Said:
    """What systemd knows.

    Arguments:
        main: the pid of another arbiter that is the main process now; 0 if it is this one.
    """

    service: Service = Service.STARTING
    main: int = 0
    status: str = ""


def state_of(fleet: Fleet) -> Said:
    """What systemd should know."""
    ready = sum(worker.stage is Stage.READY for worker in fleet.workers)
    serves = f"generation {fleet.generation}: {ready} of {fleet.size} workers ready"
    successor = fleet.successor
    main = successor.pid or 0 if successor and successor.ready and fleet.paused else 0
    if fleet.phase is not Phase.SERVING:
        return Said(Service.STOPPING, main, f"stopping: {len(fleet.workers)} workers left")
    if not fleet.proven:
        return Said(Service.STARTING, main, f"starting: {ready} of {fleet.size} workers ready")
    if fleet.loading or fleet.candidate:
        return Said(Service.RELOADING, main, f"reloading as generation {fleet.newest}; {serves}")
    if fleet.paused:
        return Said(Service.SERVING, main, f"paused: {len(fleet.workers)} workers left")
    if successor and not successor.ready:
        return Said(Service.SERVING, main, f"upgrading, the new arbiter has pid {successor.pid}; {serves}")
    return Said(Service.SERVING, main, f"{serves}; {_one_line(fleet.failure)}" if fleet.failure else serves)


def _one_line(text: str) -> str:
    # It holds what an application has raised: a line more would be one more assignment (sd_notify(3)).
    return textwrap.shorten(text, LONGEST_REASON, placeholder=" …")


def lines_between(before: Said, after: Said, now: float) -> list[str]:
    """The lines of the message that tells the difference; none where there is none.

    Arguments:
        now: monotonic seconds.
    """
    lines = []
    if after.main != before.main:
        # The time of the watchdog runs on: the other process gets the whole of it.
        lines += [f"MAINPID={after.main or os.getpid()}", "WATCHDOG=1"]
    if after.service is not before.service:
        match after.service:
            case Service.SERVING:
                lines.append("READY=1")
            case Service.RELOADING:
                lines += ["RELOADING=1", f"MONOTONIC_USEC={int(now * 1_000_000)}"]
            case Service.STOPPING:
                lines.append("STOPPING=1")
            case Service.STARTING:
                pass
    if after.status != before.status:
        lines.append(f"STATUS={after.status}")
    return lines


def shows_life(fleet: Fleet, heartbeats: Mapping[int, float], oldest: float) -> bool:
    """Whether the server does, or soon will do, what it is for.

    A worker that boots counts: `boot_timeout` ends it if it hangs, and a restart would only boot it again. A paused
    server is as its operator wants it.

    Arguments:
        heartbeats: when each worker last showed life, by pid.
        oldest: the monotonic second from which on a heartbeat counts.
    """
    if fleet.paused or fleet.phase is not Phase.SERVING:
        return True
    return any(
        worker.stage in (Stage.FORKING, Stage.BOOTING)
        or (worker.stage is Stage.READY and heartbeats.get(worker.pid or 0, worker.ready_at or 0.0) >= oldest)
        for worker in fleet.workers
    )


class Notifier:
    """The way to systemd's socket, and what was said through it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get(NOTIFY_SOCKET, "")
        self._interval = _watchdog_interval(environ) if self._address else 0.0
        self._said = Said()
        self._beat_at = float("-inf")
        self._was_child = False
        self._failed = False

    def __repr__(self) -> str:
        return f"<Notifier to {self._address or 'nobody'}, said {self._said}>"

    def update(self, fleet: Fleet, now: float) -> None:
        """Says what has changed.

        The new arbiter of an upgrade keeps silent until the old one has been told that it is ready; only then does
        systemd listen to it. What it says before the old one has passed that on is lost, so all is said once more when
        the old one is gone.
        """
        if not self._address or (fleet.predecessor and not fleet.announced):
            self._was_child = bool(fleet.predecessor)
            return
        if self._was_child and not fleet.predecessor:
            self._was_child, self._said = False, Said()
        state = state_of(fleet)
        if self._said.main and state.service is Service.STOPPING:
            # The service goes on in other hands; that this process leaves is nobody's business.
            return
        self._send(lines_between(self._said, state, now))
        self._said = state

    def due(self) -> float | None:
        """The monotonic second of the next sign of life; None without a watchdog."""
        return self._beat_at + self._interval if self._interval and self._beat_at > 0 else None

    def watch(self, fleet: Fleet, heartbeats: Callable[[], Mapping[int, float]], now: float) -> None:
        """Gives the sign of life if it is due and there is life."""
        if not self._interval or now < self._beat_at + self._interval:
            return
        self._beat_at = now
        if shows_life(fleet, heartbeats(), now - max(FRESH, 2 * self._interval)):
            self._send(["WATCHDOG=1"])

    def _send(self, lines: list[str]) -> None:
        if not self._address or not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto("\n".join(lines).encode(), socket_name(self._address))
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.warning("systemd is not told how the server is: %s %s: %s", NOTIFY_SOCKET, self._address, error)


def _watchdog_interval(environ: Mapping[str, str]) -> float:
    """Seconds between two signs of life: half of what systemd waits for, as sd_watchdog_enabled(3) advises."""
    text = environ.get(WATCHDOG_USEC, "")
    if not text.isascii() or not text.isdigit() or environ.get(WATCHDOG_PID, str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(text) / 2_000_000
