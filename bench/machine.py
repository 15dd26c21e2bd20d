"""Where the measurement runs: paths, the two cores, and what has to be reported about the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = ROOT / "bench"
BUILD = HERE / "build"
LOGS = BUILD / "logs"
RESULTS = HERE / "results"
OWN_PYTHON = ROOT / ".venv" / "bin" / "python"
PEER_BIN = HERE / ".venv" / "bin"
FLOOR = BUILD / "floor"


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server and the core of the load; the same one where there is no other."""

    server: int
    load: int


def pin() -> Cores:
    """Take the second allowed core for this process, which makes the load, and leave the first to the servers."""
    allowed = sorted(os.sched_getaffinity(0))
    cores = Cores(allowed[0], allowed[-1])
    os.sched_setaffinity(0, {cores.load})
    return cores


def missing() -> list[str]:
    """What has to be installed before anything can be measured, one line each with its remedy."""
    wanted = {
        "wrk": "wrk is not installed: it makes the load (Debian: apt-get install wrk)",
        "taskset": "taskset is not installed: it keeps a server on one core (Debian: apt-get install util-linux)",
    }
    lines = [line for program, line in wanted.items() if shutil.which(program) is None]
    if not (PEER_BIN / "python").exists() or not FLOOR.exists():
        lines.append("the peers or the floor are not installed: run `make bench`, which installs both")
    return lines


def peer_versions() -> dict[str, str]:
    """The version of every package in the peers' environment, by lower-case name."""
    code = "import importlib.metadata as m\nfor d in m.distributions(): print(d.metadata['Name'].lower(), d.version)"
    answer = subprocess.run([PEER_BIN / "python", "-c", code], capture_output=True, text=True, check=True)
    return dict(line.split() for line in answer.stdout.splitlines())


def own_version() -> str | None:
    """The version of Pronghorn in the repository's environment, with its commit; None where it is not built."""
    code = "import pronghorn.engine.loop, importlib.metadata as m; print(m.version('pronghorn'))"
    if not OWN_PYTHON.exists():
        return None
    answer = subprocess.run([OWN_PYTHON, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return f"{answer.stdout.strip()} ({commit.stdout.strip()})" if answer.returncode == 0 else None


def describe(cores: Cores) -> dict[str, str]:
    """Machine, kernel, Python, wrk and date, as they are shown above the tables."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
        "cores": f"server on {cores.server}, load on {cores.load}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "wrk": wrk[1] if len(wrk) > 1 else "unknown",
    }
