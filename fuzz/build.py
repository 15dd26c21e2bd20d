"""Compiles what is fuzzed, and the targets: `python -m fuzz.build <name>`, one of COMPILERS.

All native modules of a build lie in one folder, under their full names. All builds count steps (wire/cursor.pxd).
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setup import DIRECTIVES
from setuptools import Extension

from fuzz.targets import BUILDS, COVERAGE, LIBFUZZER, REPLAY, ROOT, SANITIZED

SOURCES = [
    *sorted((ROOT / "src" / "pronghorn" / "wire").glob("*.pyx")),
    ROOT / "src" / "pronghorn" / "observe" / "access.pyx",
    *sorted((ROOT / "fuzz" / "targets").glob("*.pyx")),
]
CLANG = os.environ.get("FUZZ_CC", "clang-14")
GCC = shlex.split(os.environ.get("CC", "gcc"))
# Everything UBSan calls undefined is an end, not a message.
SANITIZERS = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILERS = {
    REPLAY: [*GCC, "-O1"],
    SANITIZED: [*GCC, *SANITIZERS],
    # -O0: with it every line that runs is one that was written.
    COVERAGE: [*GCC, "-O0"],
    LIBFUZZER: [CLANG, *SANITIZERS],
}
FUZZED = {REPLAY: [], SANITIZED: [], COVERAGE: ["--coverage"], LIBFUZZER: ["-fsanitize=fuzzer-no-link"]}
"""For the code that is fuzzed, and not for the targets: which way they take says nothing about an input."""
COMMON = [
    "-fPIC", "-fno-strict-aliasing", "-DPRONGHORN_COUNT_STEPS", f"-I{sysconfig.get_path('include')}",
    "-Wno-unused-function",
]  # fmt: skip


def module_name(source: Path) -> str:
    """The full name of the module that a .pyx file is."""
    folder = ROOT / "src" if source.is_relative_to(ROOT / "src") else ROOT
    return ".".join(source.relative_to(folder).with_suffix("").parts)


def run(command: list[str]) -> None:
    """Run a compiler, which says itself what is wrong."""
    subprocess.run(command, check=True)


def translate(name: str, folder: Path) -> dict[str, str]:
    """The C file of each module, by its name."""
    extensions = [Extension(module_name(source), [str(source.relative_to(ROOT))]) for source in SOURCES]
    done = cythonize(
        extensions, include_path=["src", "."], compiler_directives=DIRECTIVES, build_dir=str(folder / "c"),
        emit_linenums=name in {SANITIZED, LIBFUZZER},  # what a sanitizer says then names lines of the .pyx file
        quiet=True,
    )  # fmt: skip
    return {extension.name: extension.sources[0] for extension in done}


def link_to_python() -> list[str]:
    """What the linker must be told for a program with an interpreter inside."""
    names = sysconfig.get_config_vars()
    library = "python" + names["LDVERSION"]
    folders = [f"-L{names[key]}" for key in ("LIBDIR", "LIBPL")]
    return [*folders, f"-Wl,-rpath,{names['LIBDIR']}", f"-l{library}", *shlex.split(names["LIBS"]), "-lm"]


def build(name: str) -> None:
    """Compile everything of one build into its folder."""
    folder = BUILDS / name
    compiler = COMPILERS[name] + COMMON
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    sources = translate(name, folder)
    commands = []
    for module, source in sources.items():
        options = [] if module.startswith("fuzz.") else FUZZED[name]
        commands.append([*compiler, *options, "-shared", source, "-o", str(folder / (module + suffix))])
    with ThreadPoolExecutor(2) as both:
        list(both.map(run, commands))
    if name == LIBFUZZER:
        # Exported, for the modules look for the sanitizers' functions in the program.
        driver = [*compiler, "-fsanitize=fuzzer", "-rdynamic", str(ROOT / "fuzz" / "driver.c"), *link_to_python()]
        run([*driver, "-o", str(folder / "driver")])


if __name__ == "__main__":
    build(sys.argv[1])
