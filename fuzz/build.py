"""Compiles what is fuzzed, and the targets: `python -m fuzz.build <name>`, one of COMPILERS.

All native modules of a build lie in one folder, under their full names, with a list of what they were made of: where
nothing of that has changed there is nothing to do. All builds count steps (wire/cursor.pxd).
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import Cython
from Cython.Build import cythonize
from Cython.Build.Dependencies import create_dependency_tree
from setup import DIRECTIVES
from setuptools import Extension

from fuzz.targets import BUILDS, COVERAGE, LIBFUZZER, REPLAY, ROOT, SANITIZED, digest, is_current

SOURCES = [
    *sorted((ROOT / "src" / "pronghorn" / "wire").glob("*.pyx")),
    *(ROOT / "src" / "pronghorn" / "observe" / name for name in ("access.pyx", "json_line.pyx")),
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


def tools(name: str) -> str:
    """What compiles a build: with something else it is another one."""
    return f"CPython {platform.python_version()}, Cython {Cython.__version__}, {shlex.join(COMPILERS[name])}"


def made_of() -> list[str]:
    """Every file that a build depends on, from the root of the repository."""
    tree = create_dependency_tree()
    files = {path for source in SOURCES for path in tree.all_dependencies(str(source.relative_to(ROOT)))}
    own = (path for path in map(os.path.relpath, files) if path.startswith(("src/", "fuzz/")))
    return sorted({"setup.py", "fuzz/build.py", "fuzz/driver.c", *own})


def build(name: str) -> None:
    """Compile everything of one build into its folder, unless it is there."""
    folder = BUILDS / name
    listed = folder / ".built"
    if is_current(name) and listed.read_text().partition("\n")[0] == tools(name):
        return
    shutil.rmtree(folder, ignore_errors=True)
    # Before anything is compiled: of a file that changes meanwhile it is not known which state went in.
    sources = "".join(f"{digest(path)}  {path}\n" for path in made_of())
    compiler = COMPILERS[name] + COMMON
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    commands = []
    for module, source in translate(name, folder).items():
        options = [] if module.startswith("fuzz.") else FUZZED[name]
        commands.append([*compiler, *options, "-shared", source, "-o", str(folder / (module + suffix))])
    with ThreadPoolExecutor(2) as both:
        list(both.map(run, commands))
    if name == LIBFUZZER:
        # Exported, for the modules look for the sanitizers' functions in the program.
        driver = [*compiler, "-fsanitize=fuzzer", "-rdynamic", str(ROOT / "fuzz" / "driver.c"), *link_to_python()]
        run([*driver, "-o", str(folder / "driver")])
    listed.write_text(f"{tools(name)}\n{sources}")


if __name__ == "__main__":
    build(sys.argv[1])
