"""`python -m tests.slow`: every slow attack in its long form on each server; a table, JSON, and docs/security.md.

make slow                                       all of it
make slow SLOW='--attacks heads,reads --servers pronghorn --seconds 5'
make slow SLOW='--servers pronghorn --period 15 --seconds 100'      until all deadlines are over
make slow SLOW='--servers pronghorn --worker-class gevent'

It fails if Pronghorn does not stand one of them (judge.py).
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.machine import PEER_BIN, Cores, describe, own_version, peer_versions, pin
from bench.measure import Failed, Running, cpu_seconds, free_port, pss_bytes, running, spent, tree
from bench.servers import Launch, Server

from tests.slow import report
from tests.slow.attacks import ATTACKS
from tests.slow.crowd import Attackers
from tests.slow.judge import complaints
from tests.slow.probe import Seen, probe
from tests.slow.report import FEW, Outcome
from tests.slow.servers import APP, ATTACKED, of_class
from tests.slow.tool import MODES, TOOL, Tool

TOOLS = 1000
"""Clients of slowhttptest, which can have no more than 1024 descriptors, at most."""

BUSY = 0.3
"""Share of a core; a server that uses more has not served yet what the attackers asked for when they came."""

PATIENCE = 20
"""Seconds after which it is attacked all the same."""

QUIET = 10.0
"""Seconds that are enough to know how quickly it answers when nobody attacks."""


def arguments() -> argparse.Namespace:
    """The command line."""
    kinds = [*ATTACKS, *(f"{TOOL} {mode}" for mode in MODES)]
    parser = argparse.ArgumentParser(prog="python -m tests.slow", description="Slow clients against servers.")
    add = parser.add_argument
    add("--attacks", default=",".join(kinds), metavar="A,B", help=f"some of {', '.join(kinds)}")
    add("--servers", default=",".join(ATTACKED), metavar="A,B", help=f"some of {', '.join(ATTACKED)}")
    add("--attackers", type=int, default=2000, help="clients of an attack (2000); `idle` has more, `exports` fewer")
    add("--seconds", type=float, default=10, help="how long the good client asks under attack (10)")
    add("--period", type=float, default=1, help="seconds between two acts of an attacker (1)")
    add("--worker-class", default="", metavar="NAME", help="Pronghorn's (its default)")
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
        return Tool(kind.partition(" ")[2], server.port, min(options.attackers, TOOLS), PATIENCE + options.seconds)
    count = int(ATTACKS[kind].times * options.attackers)
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


def connections(port: int) -> int:
    """How many connections the server at this port of this machine has, or waits to accept."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def measure(server: Server, kind: str, options: argparse.Namespace, cores: Cores) -> Outcome:
    """One attack on one server, which is started for it."""
    launch = Launch(app=APP, port=free_port(), connections=20_000, blocking=True)
    with running(server, launch, cores, {}) as under:
        address = ("127.0.0.1", under.port)
        probe(address, 1)
        quiet = probe(address, min(options.seconds, QUIET))
        memory, kernel, processes = pss_bytes(under.pid), kernel_bytes(), tree(under.pid)
        crowd = attackers(kind, under, options)
        with crowd:
            began = time.monotonic()
            arriving, attacked = arrive(under), probe(address, options.seconds)
            seconds, held = time.monotonic() - began, connections(under.port)
            if isinstance(crowd, Tool):
                crowd.check(held)
            memory, kernel = pss_bytes(under.pid) - memory, kernel_bytes() - kernel
        later = probe(address, 1)
        ended = len(processes.items() - tree(under.pid).items())
    known = held >= FEW * crowd.connected
    return Outcome(
        attackers=crowd.connected,
        quiet_p99_ms=quiet.percentile(0.99),
        p50_ms=attacked.percentile(0.5),
        p99_ms=attacked.percentile(0.99),
        arriving_p99_ms=arriving.percentile(0.99),
        lost=attacked.lost,
        asked=len(attacked.seconds) + attacked.lost,
        bytes_each=memory / held if known else None,
        kernel_bytes_each=kernel / held if known else None,
        attacked_seconds=seconds,
        held=held,
        cut=crowd.result["cut"],
        ended=ended,
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


def label(options: argparse.Namespace) -> str:
    """What is unusual about a run: it is kept beside the usual one."""
    kind = f"`worker_class = {options.worker_class}`" if options.worker_class else ""
    pace = f"one act every {options.period:g} s" if options.period != 1 else ""
    return " and ".join(filter(None, (kind, pace)))


def attack(options: argparse.Namespace, cores: Cores, versions: dict[str, str]) -> report.Outcomes:
    """All that is asked for, one after the other; each is printed."""
    servers = {name: ATTACKED[name] for name in options.servers}
    if "pronghorn" in servers:
        servers["pronghorn"] = of_class(options.worker_class)
    outcomes: report.Outcomes = {}
    for kind in options.attacks:
        for name, server in servers.items():
            tool = kind.startswith(TOOL) and shutil.which(TOOL) is None
            if tool or server.package not in versions:
                print(f"{kind:16} {TOOL if tool else name:17} is not installed", flush=True)
                continue
            try:
                outcome = measure(server, kind, options, cores)
            except (Failed, OSError, AssertionError) as problem:
                outcome = Outcome(failure=f"{type(problem).__name__}: {problem}")
            outcomes.setdefault(kind, {})[name] = outcome
            print(f"{kind:16} {name:17} {outcome}", flush=True)
    return outcomes


def main() -> int:
    """Attacks what is asked for; 1 if Pronghorn does not stand it."""
    options = arguments()
    if options.render:
        report.write()
        return 0
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    versions = installed()
    cores = pin()
    with many_descriptors():
        outcomes = attack(options, cores, versions)
    print("\n".join(report.table(outcomes)))
    if options.write:
        used = {
            name: versions[ATTACKED[name].package] for name in options.servers if ATTACKED[name].package in versions
        }
        asked = {"attackers": options.attackers, "seconds": options.seconds, "period": options.period}
        circumstances = describe(cores) | {name: f"{value:g}" for name, value in asked.items()}
        report.keep(label(options), circumstances, used, outcomes)
        report.write()
    problems = [
        f"pronghorn, {kind}: {problem}"
        for kind, of in outcomes.items()
        if "pronghorn" in of
        for problem in complaints(kind, of["pronghorn"], options.period)
    ]
    print("\n".join(problems), end="\n" if problems else "")
    return int(bool(problems))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
