"""Builds the drivers of this folder with ThreadSanitizer and runs them: `make test-tsan`."""

import os
import random
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from fuzz.build import link_to_python

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "build" / "cython" / "src" / "pronghorn" / "engine"
BUILD = ROOT / "build" / "tsan"
DRIVERS = ("baton", "scoreboard", "leash", "chunks")


def build(name: str) -> Path:
    """The driver as a program. The module's C file becomes part of it, compiled as a debug build.

    -Wno-tsan: ThreadSanitizer knows no fences. The scoreboard has two, but what they order is atomic, word by word, and
    whether a reader was given the words of two calls the driver sees for itself.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    command = [
        *shlex.split(os.environ.get("CC", "gcc")),
        "-fsanitize=thread", "-g", "-O1", "-fno-strict-aliasing", "-DPRONGHORN_DEBUG",
        f'-D{name.upper()}_C="{GENERATED / name}.c"', f"-I{sysconfig.get_path('include')}",
        "-Wno-unused-function", "-Wno-tsan", str(ROOT / "tests" / "threads" / f"{name}.c"), "-o", str(program),
        "-pthread", *link_to_python(),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return program


def main() -> int:
    """0 if no driver found a race or a broken promise."""
    turns = sys.argv[1] if len(sys.argv) > 1 else "20000"
    seed = random.randrange(1 << 31)
    worst = 0
    for name in DRIVERS:
        print(f"{name}, {turns} turns, seed {seed}", flush=True)
        # TSan maps memory at fixed places, which the kernel's randomisation may have taken.
        command = ["setarch", "-R", str(build(name)), turns, str(seed)]
        # The leash waits for as long as its process lives: nobody ever joins it.
        options = {"TSAN_OPTIONS": "exitcode=66:report_thread_leaks=0"}
        done = subprocess.run(command, env=os.environ | options, check=False, timeout=600)
        worst = max(worst, abs(done.returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main())
