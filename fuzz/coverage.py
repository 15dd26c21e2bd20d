"""Which lines a corpus runs: `python -m fuzz.coverage TARGET FOLDER...`, and those it does not.

Of native modules the lines of C functions count (what Python calls is for tests), and of `wire/cursor.pxd` those that
they use; the build named `coverage` notes them. Of Python modules every line inside a function counts.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType

from fuzz.replay import replay
from fuzz.targets import BUILDS, COVERAGE, ROOT, TARGETS

Line = tuple[str, int]
FOLDER = BUILDS / COVERAGE
ORIGIN = re.compile(r' */\* "(?:src/)?pronghorn/(.+)":(\d+)$')


def native_lines(target: str, places: list[str]) -> dict[Line, bool]:
    """The lines of the native modules that `target` covers, and whether each ran."""
    command = [sys.executable, "-m", "fuzz.replay", COVERAGE, target, *places]
    lines: dict[Line, bool] = {}
    # Counts add up in their files. These are of one run, whatever else is counted at the same time.
    with tempfile.TemporaryDirectory(prefix="pronghorn-coverage-") as folder:
        for note in FOLDER.glob("*.gcno"):
            Path(folder, note.name).symlink_to(note)
        # libgcov strips as many folders as there are from the names it was compiled with.
        environ = os.environ | {"GCOV_PREFIX": folder, "GCOV_PREFIX_STRIP": "999"}
        subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL)
        for module in TARGETS[target].covers:
            counts = next(Path(folder).glob(f"{module}.*.gcda"))
            for place, ran in lines_of(module, counts):
                lines[place] = lines.get(place, False) or ran
    return lines


def lines_of(module: str, counts: Path) -> Iterator[tuple[Line, bool]]:
    """Those of one module: several times a line, and lines of .pxd files that other modules have as well."""
    said = subprocess.run(["gcov", "--json-format", "--stdout", counts], check=True, capture_output=True, cwd=ROOT)
    for file in json.loads(said.stdout)["files"]:
        if not file["file"].endswith(f"/{module.rpartition('.')[2]}.c"):
            continue
        origins = origins_of(Path(file["file"]))
        for line in file["lines"]:
            place = origins.get(line["line_number"])
            if place and line.get("function_name", "").startswith("__pyx_f_"):
                yield place, line["count"] > 0


def origins_of(translated: Path) -> dict[int, Line]:
    """Where each line of a C file comes from: Cython writes that before each statement, as a comment."""
    origins: dict[int, Line] = {}
    place = None
    for number, text in enumerate(translated.read_text().splitlines(), start=1):
        if said := ORIGIN.match(text):
            place = (said[1], int(said[2]))
        elif text.startswith("}"):
            place = None
        elif place:
            origins[number] = place
    return origins


def functions_in(code: CodeType) -> Iterator[CodeType]:
    """Every function inside `code`."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from functions_in(constant)


def python_lines(target: str, places: list[str]) -> dict[Line, bool]:
    """The same for a target whose modules are Python: those of a package that the replay has loaded."""
    ran: set[Line] = set()

    def local(frame: FrameType, event: str, arg: object) -> Callable[..., object]:
        del event, arg
        ran.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def trace(frame: FrameType, event: str, arg: object) -> Callable[..., object] | None:
        return local(frame, event, arg) if "/src/pronghorn/" in frame.f_code.co_filename else None

    sys.settrace(trace)
    try:
        replay(target, map(Path, places))
    finally:
        sys.settrace(None)
    lines: dict[Line, bool] = {}
    for file in loaded_files(TARGETS[target].covers):
        for code in functions_in(compile(file.read_text(), str(file), "exec")):
            numbers = {number for _, _, number in code.co_lines() if number} - {code.co_firstlineno}
            name = str(file).rpartition("src/pronghorn/")[2]
            lines |= {(name, number): (str(file), number) in ran for number in numbers}
    return lines


def loaded_files(packages: Iterable[str]) -> list[Path]:
    """The files of those modules of `packages` that are loaded."""
    modules: list[ModuleType] = [
        module for name, module in sys.modules.items() if name.startswith(tuple(f"{package}." for package in packages))
    ]
    return [Path(module.__file__) for module in modules if module.__file__]


def coverage(target: str, places: list[str]) -> dict[Line, bool]:
    """Every line that counts, and whether the inputs in `places` run it."""
    first = TARGETS[target].covers[0].replace(".", "/")
    is_native = (ROOT / "src" / f"{first}.pyx").is_file()
    return native_lines(target, places) if is_native else python_lines(target, places)


if __name__ == "__main__":
    found = coverage(sys.argv[1], sys.argv[2:])
    for file, number in sorted(place for place, ran in found.items() if not ran):
        print(f"not run: {file}:{number}")
    print(f"{sum(found.values())} of {len(found)} lines")
