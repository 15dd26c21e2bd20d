"""Checks the model in every order of steps, and that each known mistake is found in it: `make model`."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

MODEL = Path(__file__).with_name("handover.pml")
TOOLS = ("spin", "gcc")

ONE_THREAD = {"THREADS": 1, "REQUESTS": 1, "EARLY": 1}
"""The leader and the spare thread that only does I/O; a drain begins at any moment."""
TWO_THREADS = {"THREADS": 2, "REQUESTS": 1}
PIPELINED = {"THREADS": 1, "REQUESTS": 2}
"""Too much for a check of every order within a minute; enough to find what needs a second request."""

CIRCLES = {"KEEP_WATCHING"}
"""Mistakes that stop nothing: a thread is kept busy for nothing."""


@dataclass(frozen=True)
class Case:
    """One run of spin: what it is about, with which values, and whether it must find an error."""

    name: str
    values: dict[str, int] = field(hash=False)
    mutation: int = 0
    circles: bool = False
    """Whether it looks for orders that go round for ever, instead of wrong states and ends."""


def mutations() -> dict[str, int]:
    """The mistakes that the model can be given, by name."""
    text = MODEL.read_text().partition("/* MUTATION: */")[2].partition("#ifndef MUTATION")[0]
    return {name: int(number) for name, number in re.findall(r"^#define ([A-Z_]+) (\d+)$", text, re.MULTILINE)}


def cases() -> list[Case]:
    """All of them; the mutations where the smallest setting has what they need."""
    second_request = {"RETURN_WITHOUT_WAKING", "GIVE_BACK_BEFORE_RECORD", "FORGET_QUEUE", "KEEP_WATCHING"}
    return [
        Case("two threads, in circles", TWO_THREADS, circles=True),
        Case("two threads", TWO_THREADS),
        Case("one thread, in circles", ONE_THREAD, circles=True),
        Case("one thread", ONE_THREAD),
        *(Case(name, PIPELINED if name in second_request else ONE_THREAD, number, circles=name in CIRCLES)
          for name, number in mutations().items()),
    ]  # fmt: skip


def check(case: Case) -> tuple[bool, str]:
    """Runs one case; whether it came out as it must, and a line about it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pronghorn-model-") as folder:
        values = [f"-D{name}={value}" for name, value in (case.values | {"MUTATION": case.mutation}).items()]
        run(folder, "spin", *values, "-a", str(MODEL))
        # Without a progress label every circle is one in which nothing comes about (spin: non-progress cycles).
        what, *search = ("-DNP", "-l") if case.circles else ("-DSAFETY",)
        # A mistake is found sooner than an optimising compiler is done.
        run(folder, "gcc", "-w", "-O0" if case.mutation else "-O1", what, "-DCOLLAPSE", "-o", "pan", "pan.c")
        output = run(folder, "./pan", *search, "-m1000000", "-w24")
        found = re.search(r"^pan:\d+: (.*) \(at depth", output, re.MULTILINE)
        trail = run(folder, "spin", *values, "-t", "-k", "handover.pml.trail", "-p", "-g", str(MODEL)) if found else ""
    states = re.search(r"(\d+) states, stored", output)
    line = f"{case.name}: {found[1] if found else 'nothing'} in {states[1] if states else '?'} states"
    good = bool(found) == bool(case.mutation) and (bool(found) or "Search not completed" not in output)
    if not good:
        line += f"\n{trail or output}"
    return good, f"{line}, {time.monotonic() - began:.0f} s"


def run(folder: str, *command: str) -> str:
    """What a command prints; its failure is an exception."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """0 if the model holds and each mutation breaks it; 77 if a tool is missing."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"make model needs {' and '.join(missing)} (Debian: apt-get install {' '.join(missing)})")
        return 77
    with ThreadPoolExecutor(2) as both:
        results = list(both.map(check, cases()))
    for good, line in results:
        print(("ok   " if good else "WRONG ") + line)
    return 0 if all(good for good, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
