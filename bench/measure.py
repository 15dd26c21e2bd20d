"""A server's process tree, while it runs: start, find, CPU time, memory, stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from .machine import LOGS, ROOT, Cores
from .servers import Launch, Server

START_SECONDS = 15.0
STOP_SECONDS = 5.0


class Failed(Exception):
    """A server did not do what the workload asks; the text says what it did instead."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its first process and the launch it was started with."""

    server: Server
    launch: Launch
    pid: int
    cores: Cores
    environment: Mapping[str, str]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.launch.port


def free_port() -> int:
    """A port that the kernel has just given out and taken back."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stat(pid: int) -> tuple[int, int] | None:
    """Parent and start time (clock ticks since boot) of a process; None when it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def tree(pid: int) -> dict[int, int]:
    """The process and all its descendants, each with its start time, by which a reused pid is told apart."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = {member: known for member in pids if (known := stat(member))}
    family = {pid} & found.keys()
    while more := {child for child, (parent, _) in found.items() if parent in family} - family:
        family |= more
    return {member: found[member][1] for member in family}


def cpu_seconds(pid: int) -> dict[int, float]:
    """User and system time of every process of the tree, in seconds, by pid.

    The kernel's CPU clock of a process counts all its threads, ended ones too, in nanoseconds; /proc/PID/stat
    rounds to 10 ms.
    """
    # The clock's number is a kernel interface: the pid inverted, and 2 for CPUCLOCK_SCHED (clock_getcpuclockid(3)).
    readings = {}
    for member in tree(pid):
        with suppress(OSError):  # it ended since it was listed; `spent` notices where that matters
            readings[member] = time.clock_gettime((~member << 3) | 2)
    return readings


def spent(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """The CPU seconds between two readings. Raises Failed when a process went, for its time would be missing."""
    if gone := before.keys() - after.keys():
        raise Failed(f"{len(gone)} of its processes died under load")
    return sum(now - before.get(member, 0.0) for member, now in after.items())


def pss_bytes(pid: int) -> int:
    """Proportional set size of the whole tree: what it costs the machine, shared pages divided among their users."""
    total = 0
    for member in tree(pid):
        rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
    return total


def get(port: int, path: str = "/", timeout: float = 5.0) -> bytes:
    """The body of one 200 answer on a connection of its own. Raises Failed for any other answer or none."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as problem:
        raise Failed(f"GET {path}: {type(problem).__name__} {problem}".strip()) from problem
    finally:
        connection.close()
    if response.status != 200:
        raise Failed(f"GET {path}: status {response.status}")
    return body


def on_core(core: int, python: str, module: str, *arguments: str) -> str:
    """What a module of this package prints when it is run as a program on the given core."""
    command = ["taskset", "--cpu-list", str(core), python, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


@contextmanager
def running(server: Server, launch: Launch, cores: Cores, extra: Mapping[str, str]) -> Iterator[Running]:
    """The server, pinned to its core, from when it accepts connections until the block ends.

    Raises Failed, with the last line of its output, when it ends early or never listens.
    """
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | dict(extra)
    command = ["taskset", "--cpu-list", str(cores.server), *server.command(launch)]
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{server.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env=environment)
    try:
        await_listening(process, launch.port, log)
        yield Running(server, launch, process.pid, cores, environment)
    finally:
        stop(process)


def await_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the port accepts a connection. Raises Failed when the process ends first or time runs out."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
            raise Failed(f"did not start, status {process.returncode}: {lines[-1][:160]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Failed(f"did not listen within {START_SECONDS:g} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and every process it started: asked first, then killed, each by its pid."""
    family = tree(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for member, born in family.items():
        known = stat(member)
        if known and known[1] == born:
            os.kill(member, signal.SIGKILL)
