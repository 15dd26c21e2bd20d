"""`python -m tests.protocol.compare`: the vectors on other servers; the table of docs/security.md.

make compare-security                     all of them, and the table
make compare-security COMPARE=granian     one, on the screen only; COMPARE='--names granian' for what it does not pass
"""

import argparse
import os
import platform
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec

from tests.protocol.compare import page
from tests.protocol.compare.answers import ANSWERED
from tests.protocol.compare.subjects import SUBJECTS, Subject, running
from tests.protocol.compare.verdict import passes
from tests.protocol.rules import RULES
from tests.protocol.vectors import REFUSED, SERVED

SECTION = {rule.number: rule.section for rule in RULES}
LIMITS, LONG_LINE = {413, 414, 431}, 8
"""Statuses of limits, and the rule of a long line that is served: how others are set is their own matter."""
OWN = 204
"""The status of what a server may answer without its application, and may leave to it."""


def arguments() -> argparse.Namespace:
    """The command line."""
    names = [subject.name for subject in SUBJECTS]
    parser = argparse.ArgumentParser(
        prog="python -m tests.protocol.compare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"{', '.join(names)}; by default all")
    parser.add_argument("--names", action="store_true", help="name the vectors that are not passed")
    chosen = parser.parse_args()
    if unknown := set(chosen.servers) - set(names):
        parser.error(f"no server is called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return chosen


ASKED = [(SECTION[answered.rule], answered) for answered in ANSWERED] + [
    ("choice" if vector.choice else SECTION[vector.rule], vector)
    for vector in (*REFUSED, *SERVED)
    if not vector.trusted and vector.status not in {*LIMITS, OWN} and vector.rule != LONG_LINE
]
"""What every server is asked, each with the line of the table that it counts in: answers of the application, and the
vectors. No peer is trusted."""

TOTALS = dict(Counter(kind for kind, _ in ASKED))


def judge(subject: Subject, *, names: bool) -> page.Row:
    """Every vector on one server."""
    began = time.monotonic()
    counts: Counter[str] = Counter()
    with running(subject) as server:
        for kind, vector in ASKED:
            if passes(server, vector):
                counts[kind] += 1
            else:
                server.settle()
                if names:
                    print(f"{subject.name}: {kind} {vector.id}", flush=True)
        crashes = server.crashes()
    row = page.Row(subject.name, subject.version, dict(counts), crashes)
    figures = ", ".join(f"{kind} {counts[kind]}/{TOTALS[kind]}" for kind in sorted(TOTALS))
    print(f"{subject.name} ({row.version}): {figures}; {crashes} crashes; {time.monotonic() - began:.0f} s", flush=True)
    return row


def machine() -> str:
    """Where it ran."""
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def main() -> int:
    """0 if Pronghorn passes every vector."""
    chosen = arguments()
    subjects = [subject for subject in SUBJECTS if not chosen.servers or subject.name in chosen.servers]
    with ThreadPoolExecutor(len(subjects)) as together:  # nearly all of it is waiting for servers that say nothing
        rows = list(together.map(lambda subject: judge(subject, names=chosen.names), subjects))
    if len(subjects) == len(SUBJECTS):
        results = page.Results(date=time.strftime("%d %B %Y"), machine=machine(), totals=TOTALS, rows=rows)
        page.RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        page.write()
    return int(any(row.name == "pronghorn" and row.passed != TOTALS for row in rows))


if __name__ == "__main__":
    sys.exit(main())
