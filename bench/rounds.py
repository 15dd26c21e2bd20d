"""The order of things: every server once a round on every workload, so that a slow minute hits all alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .load import make_file
from .machine import Cores
from .measure import Failed, free_port, on_core, running
from .servers import PYTHON, SERVERS, Launch, Server
from .workloads import FILE, FILE_SIZE, Figures, Workload


@dataclass(slots=True)
class Outcome:
    """What one server did on one workload: the figures of each round, or what it did wrong."""

    samples: list[Figures] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Length:
    """How often everything is repeated, and how many seconds each measurement takes."""

    rounds: int
    seconds: int


Outcomes = dict[str, dict[str, Outcome]]  # by workload, then by server


def environment(cores: Cores) -> dict[str, str]:
    """What the apps are told: the file to send, and how much computing takes its time on the servers' core."""
    turns = on_core(cores.server, PYTHON, "bench.apps.compute")
    return {"BENCH_FILE": str(make_file(FILE, FILE_SIZE)), "BENCH_TURNS": turns.strip()}


def contestants(workload: Workload, chosen: Sequence[str]) -> list[Server]:
    """Pronghorn and the workload's other servers, as far as they are chosen."""
    return [SERVERS[name] for name in ("pronghorn", *workload.servers) if name in chosen]


def turn(servers: list[Server], number: int) -> list[Server]:
    """The servers in the order of round `number`: another one is first each time, and odd rounds go backwards."""
    start = number % len(servers) if servers else 0
    order = servers[start:] + servers[:start]
    return order[::-1] if number % 2 else order


def sample(workload: Workload, server: Server, seconds: int, cores: Cores, told: Mapping[str, str]) -> Figures:
    """Start the server, run the workload, stop the server. Raises Failed with what went wrong."""
    launch = Launch(
        app=workload.app,
        port=free_port(),
        threads=workload.threads,
        blocking=workload.blocking,
        connections=workload.connections,
        workers=workload.workers,
        preload=workload.preload,
        floor=workload.floor,
    )
    with running(server, launch, cores, told) as started:
        return workload.run(started, seconds)


def play(
    workloads: Sequence[Workload],
    chosen: Sequence[str],
    installed: Mapping[str, str],
    cores: Cores,
    length: Length,
) -> Iterator[Outcomes]:
    """Measure, and yield all that is known after each round. A server that failed a workload is not asked again."""
    told = environment(cores)
    outcomes: Outcomes = {
        workload.name: {server.name: Outcome() for server in contestants(workload, chosen)} for workload in workloads
    }
    for number in range(length.rounds):
        for workload in workloads:
            for server in turn(contestants(workload, chosen), number):
                outcome = outcomes[workload.name][server.name]
                if server.name != "floor" and server.package not in installed:
                    outcome.failure = "not installed"
                if outcome.failure:
                    continue
                try:
                    outcome.samples.append(sample(workload, server, length.seconds, cores, told))
                    told_figure = f"{outcome.samples[-1][workload.columns[0]]:,.1f} {workload.columns[0]}"
                except Failed as failure:
                    outcome.failure = told_figure = str(failure)
                print(
                    f"round {number + 1}/{length.rounds}  {workload.name:14} {server.name:17} {told_figure}",
                    file=sys.stderr,
                )
        yield outcomes
