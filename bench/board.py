"""Run as a program it prints what the scoreboard costs a request, in nanoseconds of CPU; see board_cost.pyx."""

from __future__ import annotations

import importlib
import statistics
import sys

from Cython.Build import cythonize
from setup import CFLAGS, DIRECTIVES
from setuptools import Extension, setup

from pronghorn.engine.scoreboard import Scoreboard

from .machine import BUILD, HERE

REQUESTS = 1_000_000
ROUNDS = 7


def compile_loop() -> None:
    """Compile what is measured, as the package itself is compiled, and make it importable."""
    source = Extension("board_cost", [str(HERE / "board_cost.pyx")], extra_compile_args=CFLAGS)
    translated = cythonize(
        [source], include_path=["src"], compiler_directives=DIRECTIVES, build_dir=str(BUILD / "cython"), quiet=True
    )
    places = ["--build-temp", str(BUILD / "objects"), "--build-lib", str(BUILD / "lib")]
    setup(ext_modules=translated, script_args=["--quiet", "build_ext", *places])
    sys.path.append(str(BUILD / "lib"))


def cost() -> float:
    """The median of some rounds, behind one that warms up."""
    board_cost = importlib.import_module("board_cost")
    slot = Scoreboard(1).slot(0)
    slot.claim(1, 1)
    rounds = [board_cost.nanoseconds(slot, REQUESTS) for _ in range(ROUNDS + 1)]
    return statistics.median(rounds[1:])


if __name__ == "__main__":
    compile_loop()
    print(f"{cost():.1f}")
