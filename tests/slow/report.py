"""What came of the attacks: JSON that is kept, and the tables of it in docs/security.md."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.slow.attacks import ATTACKS
from tests.slow.tool import TOOL

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- begin: make slow -->\n", "<!-- end: make slow -->\n"

NOTABLE = 10
"""KiB in the kernel's buffers, for each attacker, from which the table shows them."""

DOWN = 0.5
"""Share of lost requests from which a server counts as down."""

FEW = 0.1
"""Share of the attackers; where fewer are there at a time, what each takes cannot be told."""


@dataclass(frozen=True)
class Outcome:
    """One attack on one server; times in milliseconds, of the good client's requests. None: it is not known.

    Arguments:
        attackers: how many came at first.
        attacked_seconds: how long they had been there at the end.
        held: how many connections the server had then.
        cut: how many it had cut off, or answered for good; who comes again counts again.
        ended: processes of the server that were gone.
    """

    attackers: int = 0
    quiet_p99_ms: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    arriving_p99_ms: float = 0
    lost: int = 0
    asked: int = 0
    bytes_each: float | None = None
    kernel_bytes_each: float | None = None
    attacked_seconds: float | None = None
    held: int | None = None
    cut: int | None = None
    ended: int | None = None
    recovered: bool = False
    failure: str = ""

    def __str__(self) -> str:
        if self.failure:
            return self.failure
        return (
            f"{self.attackers} attackers, p99 {self.quiet_p99_ms:.1f} -> {self.p99_ms:.1f} ms "
            f"({self.arriving_p99_ms:.1f} as they came), lost {self.lost} of {self.asked}, "
            f"{(self.bytes_each or 0) / 1024:.1f} + {(self.kernel_bytes_each or 0) / 1024:.0f} KiB for each of "
            f"{self.held}, {self.cut} cut, {self.ended} processes gone, "
            f"{'well' if self.recovered else 'not well'} afterwards"
        )

    @property
    def cell(self) -> str:
        """As the table shows it."""
        if self.failure:
            return "failed"
        return "; ".join(part for part in (self._told, self._memory, f"{self.cut} cut" if self.cut else "") if part)

    @property
    def _told(self) -> str:
        if self.lost >= DOWN * self.asked:
            return "**down**"
        lost = f", {self.lost} of {self.asked} lost" if self.lost else ""
        return f"{self.quiet_p99_ms:.1f} → {self.p99_ms:.1f} ms{lost}"

    @property
    def _memory(self) -> str:
        if self.bytes_each is None:
            return ""
        kernel = max(self.kernel_bytes_each or 0, 0) / 1024
        return f"{max(self.bytes_each, 0) / 1024:.1f} KiB" + (f" + {kernel:.0f}" if kernel >= NOTABLE else "")


Outcomes = dict[str, dict[str, Outcome]]
"""By attack, then by server."""


def table(outcomes: Outcomes) -> Iterator[str]:
    """The lines of the table; the last one counts the processes that ended, where that is known."""
    servers = list(dict.fromkeys(name for of in outcomes.values() for name in of))
    yield f"| Attack | {' | '.join(servers)} |"
    yield "|---" * (len(servers) + 1) + "|"
    for kind, of in outcomes.items():
        title = ATTACKS[kind].title if kind in ATTACKS else f"`{kind}`"
        yield f"| {title} | {' | '.join(of[name].cell if name in of else '-' for name in servers)} |"
    ended = {name: [of[name].ended for of in outcomes.values() if name in of] for name in servers}
    if any(number is not None for numbers in ended.values() for number in numbers):
        cells = (str(sum(number or 0 for number in ended[name])) for name in servers)
        yield f"| Processes of the server that ended | {' | '.join(cells)} |"


def keep(label: str, circumstances: dict[str, str], versions: dict[str, str], outcomes: Outcomes) -> None:
    """Writes the results of a run in place of those of the last one of the same label; the plain run has none."""
    plain = {kind: {name: asdict(outcome) for name, outcome in of.items()} for kind, of in outcomes.items()}
    run = {"label": label, "circumstances": circumstances, "versions": versions, "outcomes": plain}
    runs = [run, *(other for other in kept() if other["label"] != label)]
    found = {"runs": sorted(runs, key=lambda run: run["label"])}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def kept() -> list[dict[str, Any]]:
    """All runs that are kept. At first there was one, and nobody counted what slowhttptest's clients met."""
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": []}
    if "runs" in found:
        return list(found["runs"])
    for kind, of in found["outcomes"].items():
        for outcome in of.values():
            outcome["cut"] = None if kind.startswith(TOOL) else outcome["cut"]
    return [{"label": "", **found}]


def section() -> str:
    """What stands between the marks of the page."""
    lines = [""]
    for run in kept():
        outcomes = {
            kind: {name: Outcome(**outcome) for name, outcome in of.items()} for kind, of in run["outcomes"].items()
        }
        told = ", ".join(f"{name} {value}" for name, value in (run["circumstances"] | run["versions"]).items())
        lines += [f"With {run['label']}:", ""] if run["label"] else []
        lines += [*table(outcomes), "", f"Measured with: {told}.", ""]
    return "\n".join(lines)


def render(page: str) -> str:
    """The page with the section of now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{PAGE.name} has lost its marks"  # noqa: PT018
    return before + begin + section() + end + after


def write() -> None:
    """Writes the page anew."""
    PAGE.write_text(render(PAGE.read_text()))
