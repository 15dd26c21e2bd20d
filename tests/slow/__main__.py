"""`python -m tests.slow`: every slow attack in its long form on each server; a table, JSON, and docs/security.md.

make slow                                       all of it
make slow SLOW='--attacks heads,reads --servers pronghorn --seconds 5'
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from bench.machine import PEER_BIN, Cores, describe, own_version, peer_versions, pin
from bench.measure import Failed, Running, cpu_seconds, free_port, pss_bytes, running, spent
from bench.servers import Launch

from tests.slow import report
from tests.slow.attacks import ATTACKS
from tests.slow.crowd import Attackers
from tests.slow.probe import Seen, probe
from tests.slow.report import Outcome
from tests.slow.servers import APP, ATTACKED

IDLE = 10_000
"""Clients of the attack `idle`."""

BUSY = 0.3
"""Share of a core; a server that uses more has not served yet what the attackers asked for when they came."""

PATIENCE = 20
"""Seconds after which it is attacked all the same."""

TOOL = "slowhttptest"
MODES = {
    "-H": ["-H", "-i", "5"],
    "-B": ["-B", "-i", "5", "-s", "8192"],
    "-R": ["-R"],
    "-X": ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"],
}
"""How Debian's slowhttptest is called in each of its modes."""


class Tool:
    """slowhttptest while the block runs; it ends by itself after the time it is given."""

    def __init__(self, mode: str, port: int, count: int, seconds: float) -> None:
        path = "large" if mode in ("-X", "-R") else ""
        size = ["-c", str(count), "-r", "500", "-l", str(int(seconds) + 5), "-p", "5", "-v", "0"]
        command = ["chrt", "--idle", "0", TOOL, *MODES[mode], *size, "-u", f"http://127.0.0.1:{port}/{path}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.connected = count
        self.result: dict[str, int] = {}

    def __enter__(self) -> Self:
        time.sleep(2)  # until most are there: it does not say
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def arguments() -> argparse.Namespace:
    """The command line."""
    kinds = [*ATTACKS, *(f"{TOOL} {mode}" for mode in MODES)]
    parser = argparse.ArgumentParser(prog="python -m tests.slow", description="Slow clients against servers.")
    add = parser.add_argument
    add("--attacks", default=",".join(kinds), metavar="A,B", help=f"some of {', '.join(kinds)}")
    add("--servers", default=",".join(ATTACKED), metavar="A,B", help=f"some of {', '.join(ATTACKED)}")
    add("--attackers", type=int, default=2000, help=f"clients of an attack (2000); `idle` has {IDLE} at most")
    add("--seconds", type=float, default=10, help="how long the good client asks, quietly and under attack (10)")
    add("--period", type=float, default=1, help="seconds between two acts of an attacker (1)")
    add("--write", action="store_true", help="keep the results and write docs/security.md")
    add("--render", action="store_true", help="attack nothing: write docs/security.md from the results that are kept")
    chosen = parser.parse_args()
    chosen.attacks = chosen.attacks.split(",")
    chosen.servers = chosen.servers.split(",")
    for given, known in ((chosen.attacks, kinds), (chosen.servers, list(ATTACKED))):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return chosen


def attackers(kind: str, server: Running, options: argparse.Namespace) -> Attackers | Tool:
    """The clients of one kind."""
    if kind.startswith(TOOL):
        return Tool(kind.partition(" ")[2], server.port, min(options.attackers, 1000), options.seconds)
    count = min(5 * options.attackers, IDLE) if kind == "idle" else options.attackers
    return Attackers(kind, ("127.0.0.1", server.port), count, options.period, again=True)


def arrive(server: Running) -> Seen:
    """What the good client sees until the server has served what the attackers asked for at first."""
    seen = Seen()
    until = time.monotonic() + PATIENCE
    while True:
        began, before = time.monotonic(), cpu_seconds(server.pid)
        part = probe(("127.0.0.1", server.port), 1)
        seen.seconds += part.seconds
        seen.lost += part.lost
        now = time.monotonic()
        if now > until or spent(before, cpu_seconds(server.pid)) < BUSY * (now - began):
            return seen


def kernel_bytes() -> int:
    """What the kernel keeps in the buffers of all TCP sockets of this machine."""
    line = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(line.split()[-1]) * os.sysconf("SC_PAGESIZE")


def measure(name: str, kind: str, options: argparse.Namespace, cores: Cores) -> Outcome:
    """One attack on one server, which is started for it."""
    launch = Launch(app=APP, port=free_port(), connections=20_000, blocking=True)
    with running(ATTACKED[name], launch, cores, {}) as server:
        address = ("127.0.0.1", server.port)
        probe(address, 1)
        quiet, before, kernel = probe(address, options.seconds), pss_bytes(server.pid), kernel_bytes()
        crowd = attackers(kind, server, options)
        with crowd:
            arriving, attacked = arrive(server), probe(address, options.seconds)
            after, held = pss_bytes(server.pid), kernel_bytes()
        later = probe(address, 1)
    asked = len(attacked.seconds) + attacked.lost
    return Outcome(
        attackers=crowd.connected,
        quiet_p99_ms=quiet.percentile(0.99),
        p50_ms=attacked.percentile(0.5),
        p99_ms=attacked.percentile(0.99),
        arriving_p99_ms=arriving.percentile(0.99),
        lost=attacked.lost,
        asked=asked,
        bytes_each=(after - before) / max(crowd.connected, 1),
        kernel_bytes_each=(held - kernel) / max(crowd.connected, 1),
        cut=crowd.result.get("cut", 0),
        recovered=bool(later.seconds) and not later.lost,
    )


@contextlib.contextmanager
def many_descriptors() -> Iterator[None]:
    """For this process, and so for the servers it starts."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield


def installed() -> dict[str, str]:
    """Versions by package."""
    versions = peer_versions() if (PEER_BIN / "python").exists() else {}
    return versions | {"pronghorn": own_version() or ""}


def main() -> int:
    """Attacks what is asked for."""
    options = arguments()
    if options.render:
        report.write()
        return 0
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    versions = installed()
    cores = pin()
    outcomes: report.Outcomes = {}
    with many_descriptors():
        for kind in options.attacks:
            for name in options.servers:
                tool = kind.startswith(TOOL) and shutil.which(TOOL) is None
                if tool or ATTACKED[name].package not in versions:
                    print(f"{kind:16} {TOOL if tool else name:17} is not installed", flush=True)
                    continue
                try:
                    outcome = measure(name, kind, options, cores)
                except (Failed, OSError, AssertionError) as problem:
                    outcome = Outcome(failure=f"{type(problem).__name__}: {problem}")
                outcomes.setdefault(kind, {})[name] = outcome
                print(f"{kind:16} {name:17} {outcome}", flush=True)
    used = {name: versions[ATTACKED[name].package] for name in options.servers if ATTACKED[name].package in versions}
    circumstances = describe(cores) | {"attackers": str(options.attackers), "seconds": str(options.seconds)}
    print("\n".join(report.table(outcomes)))
    if options.write:
        report.keep(circumstances, used, outcomes)
        report.write()
    return int(any(of["pronghorn"].failure for of in outcomes.values() if "pronghorn" in of))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
