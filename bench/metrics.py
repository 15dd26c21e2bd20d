"""The figures that are reported, which way each is better, and the bars that are set on them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """How a figure is called and shown."""

    label: str
    decimals: int
    lower_is_better: bool

    def show(self, value: float) -> str:
        """The figure as it stands in a table."""
        return f"{value:,.{self.decimals}f}"


METRICS = {
    "rate": Metric("requests/s", 0, False),
    "cpu_us": Metric("CPU µs/request", 1, True),
    "p50_ms": Metric("p50 ms", 2, True),
    "p99_ms": Metric("p99 ms", 2, True),
    "app_us": Metric("of it Flask µs", 1, True),
    "own_us": Metric("of it the server's µs", 1, True),
    "slow_rate": Metric("slow requests/s", 1, False),
    "hello_p99_ms": Metric("hello beside it p99 ms", 2, True),
    "mib_s": Metric("MiB/s", 0, False),
    "cpu_ms": Metric("CPU ms each", 1, True),
    "pss_mib": Metric("Pss MiB", 1, True),
    "bytes_each": Metric("bytes each", 0, True),
    "new_p99_ms": Metric("new connection p99 ms", 2, True),
    "new_idle_p99_ms": Metric("with them p99 ms", 2, True),
    "new_ratio": Metric("ratio", 2, True),
    "idle_schedule": Metric("idle, timetable %", 1, False),
    "idle_sleep": Metric("idle, sleeping loop %", 1, False),
    "load_schedule": Metric("loaded, timetable %", 1, False),
    "load_sleep": Metric("loaded, sleeping loop %", 1, False),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """What Pronghorn's figure must reach: `factor` times that of `against`, or `factor` itself where that is empty.

    `against` is a server's name or a key of workloads.BEST_OF. Whether it is an upper or a lower bound is the metric's matter.
    """

    metric: str
    factor: float
    against: str = ""

    def text(self) -> str:
        """The bar in words."""
        metric = METRICS[self.metric]
        sign = "≤" if metric.lower_is_better else "≥"
        return f"{metric.label} {sign} {self.factor:g}" + (f" × {self.against}" if self.against else "")

    def met(self, value: float, reference: float) -> bool:
        """Whether the figure reaches the bar; `reference` is 1 for a bar without `against`."""
        bound = self.factor * reference
        return value <= bound if METRICS[self.metric].lower_is_better else value >= bound
