"""What came of the attacks: JSON that is kept, and the table of it in docs/security.md."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.slow.attacks import ATTACKS

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- begin: make slow -->\n", "<!-- end: make slow -->\n"

NOTABLE = 10
"""KiB in the kernel's buffers, for each attacker, from which the table shows them."""

DOWN = 0.5
"""Share of lost requests from which a server counts as down."""


@dataclass(frozen=True)
class Outcome:
    """One attack on one server; times in milliseconds, of the good client's requests."""

    attackers: int = 0
    quiet_p99_ms: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    arriving_p99_ms: float = 0
    lost: int = 0
    asked: int = 0
    bytes_each: float = 0
    kernel_bytes_each: float = 0
    cut: int = 0
    recovered: bool = False
    failure: str = ""

    def __str__(self) -> str:
        if self.failure:
            return self.failure
        return (
            f"{self.attackers} attackers, p99 {self.quiet_p99_ms:.1f} -> {self.p99_ms:.1f} ms "
            f"({self.arriving_p99_ms:.1f} as they came), lost {self.lost} of {self.asked}, "
            f"{self.bytes_each / 1024:.1f} + {self.kernel_bytes_each / 1024:.0f} KiB each, {self.cut} cut, "
            f"{'well' if self.recovered else 'not well'} afterwards"
        )

    @property
    def cell(self) -> str:
        """As the table shows it."""
        if self.failure:
            return "failed"
        if self.lost >= DOWN * self.asked:
            told = "**down**"
        else:
            told = f"{self.quiet_p99_ms:.1f} → {self.p99_ms:.1f} ms"
            told += f", {self.lost} of {self.asked} lost" if self.lost else ""
        kernel = max(self.kernel_bytes_each, 0) / 1024
        return f"{told}; {max(self.bytes_each, 0) / 1024:.1f} KiB" + (f" + {kernel:.0f}" if kernel >= NOTABLE else "")


Outcomes = dict[str, dict[str, Outcome]]
"""By attack, then by server."""


def table(outcomes: Outcomes) -> Iterator[str]:
    """The lines of the table."""
    servers = list(dict.fromkeys(name for of in outcomes.values() for name in of))
    yield f"| Attack | {' | '.join(servers)} |"
    yield "|---" * (len(servers) + 1) + "|"
    for kind, of in outcomes.items():
        title = ATTACKS[kind].title if kind in ATTACKS else f"`{kind}`"
        yield f"| {title} | {' | '.join(of[name].cell if name in of else '-' for name in servers)} |"


def keep(circumstances: dict[str, str], versions: dict[str, str], outcomes: Outcomes) -> None:
    """Writes the results of a run in place of those of the last one."""
    plain = {kind: {name: asdict(outcome) for name, outcome in of.items()} for kind, of in outcomes.items()}
    found = {"circumstances": circumstances, "versions": versions, "outcomes": plain}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def section() -> str:
    """What stands between the marks of the page."""
    if not RESULTS.exists():
        return "\n"
    found = json.loads(RESULTS.read_text())
    outcomes = {
        kind: {name: Outcome(**outcome) for name, outcome in of.items()} for kind, of in found["outcomes"].items()
    }
    told = ", ".join(f"{name} {value}" for name, value in (found["circumstances"] | found["versions"]).items())
    return "\n".join(["", *table(outcomes), "", f"Measured with: {told}.", ""])


def render(page: str) -> str:
    """The page with the section of now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{PAGE.name} has lost its marks"  # noqa: PT018
    return before + begin + section() + end + after


def write() -> None:
    """Writes the page anew."""
    PAGE.write_text(render(PAGE.read_text()))
