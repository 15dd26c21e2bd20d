"""From samples to what is read: medians, ratios, verdicts on the bars, markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .metrics import METRICS, Bar, Better
from .rounds import Outcome, Outcomes
from .servers import PEERS
from .workloads import BEST_OF, WORKLOADS, Figures, Workload


@dataclass(frozen=True, slots=True)
class Report:
    """One measurement: where, with what versions, how long, and what came of it."""

    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    seconds: int
    outcomes: Outcomes


def save(report: Report, path: Path) -> None:
    """Write the report with every sample as JSON."""
    path.write_text(json.dumps(asdict(report), indent=1) + "\n")


def load(path: Path) -> Report:
    """Read a report that `save` wrote."""
    data: dict[str, Any] = json.loads(path.read_text())
    outcomes = {
        workload: {server: Outcome(**found) for server, found in servers.items()}
        for workload, servers in data.pop("outcomes").items()
    }
    return Report(**data, outcomes=outcomes)


def medians(outcomes: dict[str, Outcome]) -> dict[str, Figures]:
    """The median of each figure over the rounds, for every server that did not fail."""
    return {
        server: {name: median(sample[name] for sample in outcome.samples) for name in outcome.samples[0]}
        for server, outcome in outcomes.items()
        if outcome.samples and not outcome.failure
    }


def best(found: dict[str, Figures], metric: str, among: tuple[str, ...]) -> tuple[str, float] | None:
    """The server of `among` with the best figure, and the figure; None when none of them has one."""
    values = [(found[name][metric], name) for name in among if name in found]
    if not values:
        return None
    value, name = (min if METRICS[metric].better is Better.LOWER else max)(values)
    return name, value


def reference(found: dict[str, Figures], bar: Bar) -> tuple[str, float] | None:
    """Whom the bar compares with and that server's figure; None when nobody of them was measured."""
    if bar.against in BEST_OF:
        return best(found, bar.metric, BEST_OF[bar.against])
    return best(found, bar.metric, (bar.against,)) if bar.against else ("", 1.0)


def verdict(found: dict[str, Figures], bar: Bar) -> str:
    """One line: the bar, Pronghorn's figure, the one it is held against, and whether it is met."""
    metric, own, compared = METRICS[bar.metric], found.get(bar.of), reference(found, bar)
    if own is None or compared is None:
        return f"- not measured: {bar.text()}"
    name, value = compared
    word = "met" if bar.met(own[bar.metric], value) else "**missed**"
    beside = f" beside {metric.show(value)} of {name}, {own[bar.metric] / value:.2f} ×" if name and value else ""
    return f"- {word}: {bar.text()} ({metric.show(own[bar.metric])}{beside})"


def ratio(value: float, base: tuple[str, float] | None) -> str:
    """How many times `base` a figure is, for a cell of a table."""
    return f"{value / base[1]:.2f}" if base and base[1] else "–"


def table(workload: Workload, outcomes: dict[str, Outcome]) -> list[str]:
    """The rows of one workload, best first; those that failed stand below with what they did."""
    found, first = medians(outcomes), workload.columns[0]
    bases = {"floor": best(found, first, ("floor",)), "best peer": best(found, first, PEERS)}
    shown = [name for name in bases if name != "floor" or "floor" in workload.servers]
    head = ["server", *(METRICS[name].label for name in workload.columns), *(f"× {name}" for name in shown)]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    order = sorted(found, key=lambda name: found[name][first], reverse=METRICS[first].better is Better.HIGHER)
    for server in order:
        cells = [METRICS[name].show(found[server][name]) for name in workload.columns]
        cells += [ratio(found[server][first], bases[name]) for name in shown]
        label = f"**{server}**" if server == "pronghorn" else server
        lines.append(f"| {label} | {' | '.join(cells)} |")
    for server, outcome in outcomes.items():
        if outcome.failure:
            blank = " |" * (len(head) - 2)
            lines.append(f"| {server} | {outcome.failure.replace('|', '/')} |{blank}")
    return lines


def markdown(report: Report) -> str:
    """The whole report: machine and versions, then a section for each workload with its table and bars."""
    lines = [f"{name}: {value}  " for name, value in report.machine.items()]
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in report.versions.items()) + "  ")
    lines.append(
        f"medians of {report.rounds} rounds of {report.seconds} s, one worker pinned to one core, the load on the other"
    )
    for name, outcomes in report.outcomes.items():
        workload = WORKLOADS[name]
        found = medians(outcomes)
        lines += ["", f"### {workload.title}", "", *table(workload, outcomes)]
        if workload.bars and "pronghorn" in outcomes:
            lines += ["", *(verdict(found, bar) for bar in workload.bars)]
    return "\n".join(lines) + "\n"
