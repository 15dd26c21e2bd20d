"""Runs targets, some at a time, and writes what came of it into RESULTS.md: a table for each run."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import Cython

from fuzz.build import CLANG
from fuzz.targets import LIBFUZZER, ROOT, TARGETS, is_current

RESULTS = ROOT / "fuzz" / "RESULTS.md"
BEGIN, END = "<!-- written by make fuzz-all -->\n", "<!-- end -->\n"
SHORT = 1800  # seconds, below which a run says little
NOTHING = "-"
HEAD = """\
| Target | Seconds | of CPU | Executions | Edges | Lines run | Inputs kept | Ended by |
|---|--:|--:|--:|--:|--:|--:|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one run came to."""

    target: str
    seconds: float
    cpu: float
    executions: int
    edges: int
    lines: str
    kept: int
    ended: str

    def __str__(self) -> str:
        return (
            f"| {self.target} | {self.seconds:.0f} | {self.cpu:.0f} | {self.executions:,} | {self.edges} "
            f"| {self.lines} | {self.kept} | {self.ended} |\n"
        )


def last_number(pattern: str, text: str) -> int:
    """The number that `pattern` finds last; 0 where it finds none."""
    return int(([0, *re.findall(pattern, text)])[-1])


def lines_run(target: str, *folders: Path) -> str:
    """`covered of all` lines, as fuzz.coverage says it; NOTHING, and why is printed, where it cannot tell."""
    command = [sys.executable, "-m", "fuzz.coverage", target, *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{target}: the lines cannot be counted:\n{done.stderr}")
        return NOTHING
    return done.stdout.splitlines()[-1].removesuffix(" lines")


def state() -> str:
    """The commit of what is fuzzed, and whether it differs from what was committed."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
    differs = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "src", "fuzz/targets"], check=False).returncode
    return commit.stdout.strip() + (" and changes" if differs else "")


@dataclass(frozen=True, slots=True)
class Run:
    """How libFuzzer ran: what it said, its exit status, and the seconds of CPU it had."""

    said: str
    status: int
    cpu: float


Fuzz = Callable[[str, int], Run]


def measure(fuzz: Fuzz, targets: list[tuple[str, Path, Path]], seconds: int, jobs: int) -> int:
    """Fuzz each target for `seconds`, `jobs` at a time, and write what came of it; 1 if there was a finding."""
    sources = state()
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(lambda target: measure_one(fuzz, *target[:2], seconds), targets))
    load = os.getloadavg()[2]
    if is_current(LIBFUZZER) and state() == sources:
        # An input that fails is no part of a corpus; what was kept is.
        rows = [replace(row, lines=lines_run(*target)) for row, target in zip(rows, targets, strict=True)]
    else:
        sources += ", which is not what lies here now: lines were not counted"
    names = " ".join(row.target for row in rows)
    only = f" TARGET='{names}'" if len(rows) < len(TARGETS) else ""
    write(rows, f"`make fuzz-all{only} SECONDS={seconds} JOBS={jobs}` of {sources}", seconds, load)
    return int(any(row.ended != "the clock" or row.lines == NOTHING for row in rows))


def measure_one(fuzz: Fuzz, name: str, found: Path, seconds: int) -> Row:
    """One target, but for the lines."""
    began = time.monotonic()
    ran = fuzz(name, seconds)
    return Row(
        name,
        time.monotonic() - began,
        ran.cpu,
        last_number(r"number_of_executed_units: (\d+)", ran.said),
        last_number(r" cov: (\d+)", ran.said),
        NOTHING,
        len(list(found.iterdir())),
        "a finding" if ran.status else "the clock",
    )


def write(rows: list[Row], what: str, seconds: int, load: float) -> None:
    """Put a table of these rows before those of earlier runs in RESULTS.md, which keep other targets' rows only."""
    about = (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {what}. {compiler()}, CPython {platform.python_version()}, "
        f"Cython {Cython.__version__}, Linux {platform.release().split('-')[0]}; {os.cpu_count()} cores, "
        f"load average {load:.1f}.{' These are short runs.' if seconds < SHORT else ''}"
    )
    text = RESULTS.read_text()
    before, _, rest = text.partition(BEGIN)
    tables, _, after = rest.partition(END)
    new = f"{about}\n\n{HEAD}{''.join(map(str, rows))}"
    kept = without(tables, {row.target for row in rows})
    RESULTS.write_text(before + BEGIN + "\n" + "\n".join([new, *kept]) + "\n" + END + after)


def compiler() -> str:
    """Which clang, in its own words."""
    return subprocess.run([CLANG, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]


def without(tables: str, targets: set[str]) -> list[str]:
    """Earlier runs, each a paragraph about it and a table, but for the rows of `targets`."""
    parts = tables.strip().split("\n\n")
    kept = []
    for about, table in zip(parts[::2], parts[1::2], strict=True):
        head, rule, *rows = table.splitlines()
        rows = [row for row in rows if row.split(" ", 2)[1] not in targets]
        if rows:
            kept.append("\n".join([about, "", head, rule, *rows, ""]))
    return kept
