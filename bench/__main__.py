"""`python -m bench`: measure what is asked for and write tables, JSON and chart."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .chart import draw
from .machine import RESULTS, describe, missing, own_version, peer_versions, pin
from .report import Report, load, markdown, save
from .rounds import Length, play
from .servers import SERVERS
from .workloads import IDLE_CONNECTIONS, WORKLOADS

DESCRIPTORS = IDLE_CONNECTIONS + 500


def names(kind: str, known: Sequence[str]) -> Callable[[str], list[str]]:
    """A reader of comma-separated names for argparse; an unknown name is an error that lists the known ones."""

    def read(text: str) -> list[str]:
        chosen = [name for name in text.split(",") if name]
        unknown = [name for name in chosen if name not in known]
        if unknown or not chosen:
            raise argparse.ArgumentTypeError(
                f"no {kind} is called {', '.join(unknown) or text!r}; there are {', '.join(known)}"
            )
        return chosen

    return read


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Pronghorn beside its peers, on this machine.")
    add = parser.add_argument
    add(
        "--only",
        type=names("workload", list(WORKLOADS)),
        default=list(WORKLOADS),
        metavar="A,B",
        help="workloads; all by default",
    )
    add(
        "--servers",
        type=names("server", list(SERVERS)),
        default=list(SERVERS),
        metavar="A,B",
        help="servers; all by default",
    )
    add("--rounds", type=positive, default=5, help="how often everything is repeated (5)")
    add("--seconds", type=positive, default=4, help="how long each measurement takes (4)")
    add("--out", type=Path, default=RESULTS, help="folder of latest.json, latest.md and chart.svg (bench/results)")
    add("--render", type=Path, metavar="JSON", help="measure nothing: write tables and chart of an earlier run")
    return parser.parse_args()


def raise_descriptors() -> None:
    """Allow this process, and the servers it starts, a descriptor for every idle connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        sys.exit(
            f"bench: {hard} open files are allowed, the idle workload needs {DESCRIPTORS}: "
            "raise the limit (ulimit -Hn) or leave `idle` out"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else DESCRIPTORS, hard))


def write(report: Report, folder: Path) -> None:
    """Write all three forms of a report."""
    folder.mkdir(parents=True, exist_ok=True)
    save(report, folder / "latest.json")
    (folder / "latest.md").write_text(markdown(report))
    (folder / "chart.svg").write_text(draw(report))


def inventory() -> tuple[dict[str, str], dict[str, str]]:
    """What is installed and in which version: everything, and the part that the report shows."""
    installed, own = peer_versions(), own_version()
    if own:
        installed["pronghorn"] = own
    shown = ["pronghorn", *sorted({server.package for server in SERVERS.values()} - {"", "pronghorn"}), "flask"]
    return installed, {name: installed[name] for name in shown if name in installed}


def positive(text: str) -> int:
    """A reader of whole numbers from 1 for argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def main() -> None:
    """Measure and report; what is known is written after every round, so that a broken run is not lost."""
    options = arguments()
    if options.render:
        report = load(options.render)
        write(report, options.out)
        print(markdown(report))
        return
    if lines := missing():
        sys.exit("\n".join(f"bench: {line}" for line in lines))
    # Servers are stopped on the way out of a block; a plain SIGTERM would leave the running one behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    if "idle" in options.only:
        raise_descriptors()
    cores = pin()
    installed, versions = inventory()
    machine = describe(cores)
    workloads = [WORKLOADS[name] for name in options.only]
    played = play(workloads, options.servers, installed, cores, Length(options.rounds, options.seconds))
    for number, outcomes in enumerate(played, start=1):
        report = Report(machine, versions, number, options.seconds, outcomes)
        write(report, options.out)
        if number == options.rounds:
            print(markdown(report))


if __name__ == "__main__":
    main()
