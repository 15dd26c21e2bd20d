"""What is fuzzed: the table of targets, and how the modules of one build of them are found.

A target is a module here with a function `check(data)`, which raises AssertionError when something that must hold does
not hold for these octets. Anything else it raises is a finding too.
"""

import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
BUILDS = ROOT / "build" / "fuzz"

REPLAY = "replay"
"""The build for gcc without sanitizers, in which `make test` replays the corpus and counts steps."""
SANITIZED = "sanitized"
"""The same with AddressSanitizer and UBSan, in which `make test-asan` does."""
COVERAGE = "coverage"
"""The build for gcc that notes which lines have run."""
LIBFUZZER = "libfuzzer"
"""The build for clang's libFuzzer, with AddressSanitizer and UBSan."""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that takes octets from outside."""

    about: str
    covers: tuple[str, ...]
    """The modules whose code it is meant to reach, which its coverage is counted in."""
    dictionary: str | None = None
    most: int = 4096
    """Octets of the largest input."""


HEAD = ("pronghorn.wire.http1", "pronghorn.wire.target", "pronghorn.wire.facts")
CHUNKED = ("pronghorn.wire.framing",)

TARGETS = {
    "head": Target("request heads, under the usual limits and under tiny ones", HEAD, "http", 2048),
    "chunked": Target("chunked bodies, their extensions and trailers", CHUNKED, "http"),
    "proxy": Target("PROXY headers, versions 1 and 2", ("pronghorn.wire.proxy",), "proxy"),
    "uwsgi": Target("uwsgi packets, and the heads they mean", ("pronghorn.wire.uwsgi",), "uwsgi"),
    "response": Target("response heads, beside a model", ("pronghorn.wire.response",), "response"),
    "access": Target("lines of the access log, beside a model", ("pronghorn.observe.access",), "access", 1024),
    "json_line": Target("JSON of both logs, beside Python's", ("pronghorn.observe.json_line",), "access", 1024),
    "settings": Target("TOML, Python files, the environment: only SettingsError", ("pronghorn.settings",), "settings"),
    "differential": Target("requests and bodies, beside h11 and httptools", (*HEAD, *CHUNKED), "http", 2048),
}
"""Each by the name of its module. A parser of wire/ that no target covers fails a test (tests/fuzz)."""


def digest(path: str) -> str:
    """What stands in a file of this repository, in short; nothing if there is none."""
    file = ROOT / path
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def is_current(name: str) -> bool:
    """Whether the build `name` was made of the sources as they are now: fuzz/build.py lists them in `.built`.

    By what stands in them. Files have changed while a run of half an hour went on, and times of files say nothing about
    a folder that was copied; in both cases inputs and lines would be counted in code that is not there any more.
    """
    listed = BUILDS / name / ".built"
    if not listed.is_file():
        return False
    sources = [line.split("  ", 1) for line in listed.read_text().splitlines()[1:]]
    return bool(sources) and all(digest(path) == known for known, path in sources)


class Build:
    """Finds the native modules of one build before those that are compiled in place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, if this build has it."""
        del path, target
        file = self.folder / (name + EXTENSION_SUFFIXES[0])
        return importlib.util.spec_from_file_location(name, file) if file.is_file() else None


def use_build(name: str) -> None:
    """From now on native modules are those of the build `name`, where it has them."""
    if any(module.startswith("pronghorn.wire.") for module in sys.modules):
        raise RuntimeError("the parsers of another build are loaded already")
    # The count of steps is one symbol of all modules only if each is loaded for the others to see.
    sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_GLOBAL)
    if not is_current(name):
        raise RuntimeError(f"there is no build of these sources: make build/fuzz/{name}/.built")
    sys.meta_path.insert(0, Build(BUILDS / name))  # type: ignore[arg-type]


def load(name: str) -> Callable[[bytes], None]:
    """The `check` of the target `name`."""
    check: Callable[[bytes], None] = importlib.import_module(f"fuzz.targets.{name}").check
    return check


def start(name: str, counters: memoryview) -> Callable[[bytes], None]:
    """What fuzz/driver.c calls: the `check` of a target, which may report its coverage in `counters`."""
    use_build(LIBFUZZER)
    check = load(name)
    module = sys.modules[check.__module__]
    if hasattr(module, "report_lines"):
        module.report_lines(counters)
    return check
