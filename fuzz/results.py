"""Runs all targets, some at a time, and writes the table of RESULTS.md."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import Cython

from fuzz.build import CLANG
from fuzz.targets import ROOT

RESULTS = ROOT / "fuzz" / "RESULTS.md"
BEGIN, END = "<!-- written by make fuzz-all -->\n", "<!-- end -->\n"
SHORT = 1800  # seconds, below which a run says little
HEAD = """\
| Target | Seconds | Executions | A second | Edges | Lines run | Inputs kept | Ended by |
|---|--:|--:|--:|--:|--:|--:|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one run came to."""

    target: str
    seconds: float
    executions: int
    edges: int
    lines: str
    kept: int
    ended: str

    def __str__(self) -> str:
        rate = self.executions / self.seconds
        return (
            f"| {self.target} | {self.seconds:.0f} | {self.executions:,} | {rate:,.0f} | {self.edges} | {self.lines} "
            f"| {self.kept} | {self.ended} |\n"
        )


def last_number(pattern: str, text: str) -> int:
    """The number that `pattern` finds last; 0 where it finds none."""
    return int(([0, *re.findall(pattern, text)])[-1])


def lines_run(target: str, *folders: Path) -> str:
    """`covered of all` lines, as fuzz.coverage says it."""
    command = [sys.executable, "-m", "fuzz.coverage", target, *map(str, folders)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return said.stdout.splitlines()[-1].removesuffix(" lines")


Fuzz = Callable[[str, int], tuple[str, int]]


def measure(fuzz: Fuzz, targets: list[tuple[str, Path, Path]], seconds: int, jobs: int) -> int:
    """Fuzz each target for `seconds`, `jobs` at a time, and write what came of it; 1 if there was a finding."""
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(lambda target: measure_one(fuzz, *target, seconds), targets))
    write(rows, seconds, jobs)
    return int(any(row.ended != "the clock" for row in rows))


def measure_one(fuzz: Fuzz, name: str, found: Path, corpus: Path, seconds: int) -> Row:
    """One target."""
    began = time.monotonic()
    said, status = fuzz(name, seconds)
    return Row(
        name,
        time.monotonic() - began,
        last_number(r"number_of_executed_units: (\d+)", said),
        last_number(r" cov: (\d+)", said),
        # An input that fails is no part of a corpus; what was kept is.
        lines_run(name, found, corpus),
        len(list(found.iterdir())),
        "a finding" if status else "the clock",
    )


def write(rows: list[Row], seconds: int, jobs: int) -> None:
    """Put the table into RESULTS.md."""
    version = subprocess.run([CLANG, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    about = (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, `make fuzz-all SECONDS={seconds} JOBS={jobs}`. {version}, "
        f"CPython {platform.python_version()}, Cython {Cython.__version__}, Linux {platform.release().split('-')[0]}; "
        f"{os.cpu_count()} cores, load average {os.getloadavg()[2]:.1f}."
        f"{' These are short runs.' if seconds < SHORT else ''}\n\n"
    )
    text = RESULTS.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    RESULTS.write_text(before + BEGIN + "\n" + about + HEAD + "".join(map(str, rows)) + "\n" + END + after)
