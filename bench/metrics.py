"""The figures that are reported, which way each is better, and the bars that are set on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Better(Enum):
    """Which way a figure is better."""

    LOWER = "less is better"
    HIGHER = "more is better"


@dataclass(frozen=True, slots=True)
class Metric:
    """How a figure is called and shown."""

    label: str
    decimals: int
    better: Better

    def show(self, value: float) -> str:
        """The figure as it stands in a table."""
        return f"{value:,.{self.decimals}f}"


METRICS = {
    "rate": Metric("requests/s", 0, Better.HIGHER),
    "cpu_us": Metric("CPU µs/request", 1, Better.LOWER),
    "p50_ms": Metric("p50 ms", 2, Better.LOWER),
    "p99_ms": Metric("p99 ms", 2, Better.LOWER),
    "app_us": Metric("of it Flask µs", 1, Better.LOWER),
    "own_us": Metric("of it the server's µs", 1, Better.LOWER),
    "board_ns": Metric("of it the scoreboard's ns", 0, Better.LOWER),
    "board_share": Metric("which is %", 2, Better.LOWER),
    "slow_rate": Metric("slow requests/s", 1, Better.HIGHER),
    "hello_p99_ms": Metric("hello beside it p99 ms", 2, Better.LOWER),
    "mib_s": Metric("MiB/s", 0, Better.HIGHER),
    "cpu_ms": Metric("CPU ms each", 1, Better.LOWER),
    "pss_mib": Metric("Pss MiB", 1, Better.LOWER),
    "bytes_each": Metric("bytes each", 0, Better.LOWER),
    "new_p99_ms": Metric("new connection p99 ms", 2, Better.LOWER),
    "new_idle_p99_ms": Metric("with them p99 ms", 2, Better.LOWER),
    "new_ratio": Metric("ratio", 2, Better.LOWER),
    "idle_schedule": Metric("idle, timetable %", 1, Better.HIGHER),
    "idle_sleep": Metric("idle, sleeping loop %", 1, Better.HIGHER),
    "load_schedule": Metric("loaded, timetable %", 1, Better.HIGHER),
    "load_sleep": Metric("loaded, sleeping loop %", 1, Better.HIGHER),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """What the figure of `of` must reach: `factor` times that of `against` and `plus`, or `factor` where that is empty.

    `against` is a server's name or a key of workloads.BEST_OF. The metric says whether it is an upper or a lower bound.
    """

    metric: str
    factor: float
    against: str = ""
    plus: float = 0.0
    of: str = "pronghorn"

    def text(self) -> str:
        """The bar in words."""
        metric = METRICS[self.metric]
        sign = "≤" if metric.better is Better.LOWER else "≥"
        return (
            f"{metric.label} {sign} {self.factor:g}"
            + (f" × {self.against}" if self.against else "")
            + (f" + {self.plus:g}" if self.plus else "")
        )

    def met(self, value: float, reference: float) -> bool:
        """Whether the figure reaches the bar; `reference` is 1 for a bar without `against`."""
        bound = self.factor * reference + self.plus
        return value <= bound if METRICS[self.metric].better is Better.LOWER else value >= bound
