"""The chart of the README: a panel of horizontal bars for each of a few workloads, as SVG for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .metrics import METRICS, Better
from .report import Report, medians

WIDTH, LABELS, VALUES = 760, 150, 120
ROW, GAP, HEAD = 24, 34, 46
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #3b3f45 }
  .title { font-weight: 700; font-size: 15px; fill: #16181b }
  .note, .floor-name { fill: #7a818a }
  .own-name, .own-value { font-weight: 700; fill: #b4552d }
  .bar { fill: #b9c0c8 } .own { fill: #d2693c } .floor { fill: #dfe3e8 }
  @media (prefers-color-scheme: dark) {
    text { fill: #c3c9d0 } .title { fill: #f0f2f5 } .note, .floor-name { fill: #8b929b }
    .own-name, .own-value { fill: #f08a5d } .bar { fill: #565d66 } .own { fill: #e0764a } .floor { fill: #3a4047 }
  }
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One workload and the figure of it that is drawn."""

    workload: str
    metric: str
    title: str


PANELS = (
    Panel("hello", "cpu_us", "Hello World"),
    Panel("hello-browser", "cpu_us", "Hello World, with the headers and cookies of a browser"),
    Panel("flask", "cpu_us", "Hello from Flask"),
    Panel("mixed", "rate", "Fast requests while 4 clients wait for a slow handler"),
)


def draw(report: Report, panels: Sequence[Panel] = PANELS) -> str:
    """The SVG text. A workload that was not measured has no panel; a server that failed one has no bar in it."""
    body: list[str] = []
    top = 8
    for panel in panels:
        found = medians(report.outcomes.get(panel.workload, {}))
        values = {server: figures[panel.metric] for server, figures in found.items()}
        if values:
            body += draw_panel(panel, values, top)
            top += HEAD + ROW * len(values) + GAP
    height = max(top - GAP + 8, 40)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>Pronghorn beside its peers</title>",
        f"<style>{STYLE}</style>",
    ]
    return "\n".join([*head, *body, "</svg>\n"])


def draw_panel(panel: Panel, values: dict[str, float], top: int) -> list[str]:
    """One panel from `top` down: title, what is drawn, and a bar for each server, best first."""
    metric = METRICS[panel.metric]
    lines = [
        f'<text class="title" x="0" y="{top + 14}">{escape(panel.title)}</text>',
        f'<text class="note" x="0" y="{top + 33}">{escape(metric.label)}, {metric.better.value}</text>',
    ]
    scale = (WIDTH - LABELS - VALUES) / max(values.values())
    order = sorted(values, key=values.__getitem__, reverse=metric.better is Better.HIGHER)
    for index, server in enumerate(order):
        lines += draw_bar(server, values[server], metric.show(values[server]), scale, top + HEAD + ROW * index)
    return lines


def draw_bar(server: str, value: float, shown: str, scale: float, top: int) -> list[str]:
    """One bar with the server's name before it and its figure behind it."""
    kind = {"pronghorn": "own", "floor": "floor"}.get(server, "bar")
    name = "floor (C, epoll)" if server == "floor" else server
    length = max(value * scale, 1.0)
    return [
        f'<text class="{kind}-name" x="{LABELS - 10}" y="{top + 14}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{LABELS}" y="{top + 1}" width="{length:.1f}" height="{ROW - 6}" rx="3"/>',
        f'<text class="{kind}-value" x="{LABELS + length + 8:.1f}" y="{top + 14}">{shown}</text>',
    ]
