"""The part of docs/security.md that says what proxies and the server saw, from the kept results."""

from pathlib import Path

import msgspec

from tests.support.marked import write_part

RESULTS = Path(__file__).parent / "results.json"


class Row(msgspec.Struct):
    """One proxy."""

    version: str
    connections: int
    sent: int
    seen: int
    passed_on: int
    served: int
    refused: int
    disagreements: int
    listed: dict[str, int]


class Results(msgspec.Struct):
    """A run of all of them."""

    seed: int
    date: str
    python: str
    rows: list[Row]


def text() -> str:
    """The table and what it says."""
    results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    head = "| Proxy | Connections | Sent | Seen by the proxy | Passed on | Served | Refused here | Disagreements |"
    rows = [
        f"| {row.version} | {row.connections} | {row.sent} | {row.seen} | {row.passed_on} | {row.served} "
        f"| {row.refused} | {row.disagreements} |"
        for row in results.rows
    ]
    listed = [f"- {times} times: {reason}" for row in results.rows for reason, times in row.listed.items()]
    made = f"`make test-proxies`, seed {results.seed}, {results.date}, Python {results.python}."
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows, "", made, *(["", *listed] if listed else [])])


def write() -> None:
    """Writes it."""
    write_part("test-proxies", text())


if __name__ == "__main__":
    write()
