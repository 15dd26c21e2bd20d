"""The part of docs/security.md that compares servers, from the kept results."""

from pathlib import Path

import msgspec

from tests.protocol.rules import SECTIONS
from tests.support.marked import write_part

RESULTS = Path(__file__).parent / "results.json"


class Row(msgspec.Struct):
    """One server: the vectors it passed by section, those of our own choice under `choice`."""

    name: str
    version: str
    passed: dict[str, int]
    crashes: int


class Results(msgspec.Struct):
    """A run of all of them."""

    date: str
    machine: str
    totals: dict[str, int]
    rows: list[Row]


def text() -> str:
    """The table and what it says."""
    results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    lines = ["| | " + " | ".join(row.name for row in results.rows) + " |", "|---" * (len(results.rows) + 1) + "|"]
    letters = sorted(set(results.totals) - {"choice"})
    lines += [line_of(f"{letter}. {SECTIONS[letter][0]}", letter, results) for letter in letters]
    lines.append(line_of("Stricter than the RFCs ask", "choice", results))
    lines.append("| Crashes | " + " | ".join(str(row.crashes) for row in results.rows) + " |")
    versions = "; ".join(f"{row.name}: {row.version}" for row in results.rows)
    made = f"`make compare-security`, {results.date}, {results.machine}. {versions}."
    return "\n".join([*lines, "", made])


def line_of(title: str, kind: str, results: Results) -> str:
    """One line of the table."""
    cells = " | ".join(str(row.passed.get(kind, 0)) for row in results.rows)
    return f"| {title} ({results.totals[kind]}) | {cells} |"


def write() -> None:
    """Writes it."""
    write_part("compare-security", text())


if __name__ == "__main__":
    write()
