"""The commands behind `make fuzz`: run a target, replay files, minimise a corpus, measure all targets."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from fuzz.results import Run, measure
from fuzz.targets import BUILDS, LIBFUZZER, ROOT, TARGETS

CORPUS = ROOT / "fuzz" / "corpus"
FOUND = BUILDS / "corpus"
"""What a run finds worth keeping; it grows from run to run on this machine, and is not in git."""
FINDINGS = BUILDS / "findings"

DIGEST = re.compile(r"[0-9a-f]{40}")
"""The name that libFuzzer gives an input."""

SLOWEST = 60
"""Seconds for one input, after which it counts as a hang: by the clock, and others may keep the machine busy."""


def run(name: str, *arguments: str, shows: Callable[[str], bool] = bool) -> Run:
    """Run libFuzzer on a target, and print which of its lines `shows` says."""
    # What a target leaves in temporary files goes with its folder: libFuzzer does not end as an interpreter does.
    with tempfile.TemporaryDirectory(prefix=f"pronghorn-fuzz-{name}-") as folder:
        environ = {
            **os.environ,
            "FUZZ_TARGET": name,
            "FUZZ_PYTHON": sys.executable,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            "PYTHONMALLOC": "malloc",  # so that AddressSanitizer knows the interpreter's objects too
            "PYTHONHASHSEED": "0",
            "TMPDIR": folder,
            "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=64",  # the interpreter never frees what it interned
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        command = [str(BUILDS / LIBFUZZER / "driver"), *arguments]
        said = []
        with subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                said.append(line)
                if shows(line):
                    print(line, end="", flush=True)
            _, status, usage = os.wait4(process.pid, 0)
    return Run("".join(said), os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime)


def fuzz(name: str, seconds: int) -> Run:
    """Fuzz a target for a time."""
    target = TARGETS[name]
    for folder in (FOUND / name, FINDINGS / name):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", f"-max_len={target.most}", f"-timeout={SLOWEST}", "-print_final_stats=1",
        f"-artifact_prefix={FINDINGS / name}/",
    ]  # fmt: skip
    if target.dictionary:
        options.append(f"-dict={ROOT / 'fuzz' / 'dictionaries' / target.dictionary}.dict")
    return run(name, *options, str(FOUND / name), str(CORPUS / name), shows=is_news)


def is_news(line: str) -> bool:
    """Whether it is more than that another input is kept."""
    return not line.startswith("#") or "pulse" in line or "DONE" in line


def replay(file: Path) -> int:
    """Run one input, which lies in a folder of its target's name; 0 when nothing is wrong with it."""
    return run(file.resolve().parent.name, str(file)).status


def minimise(name: str) -> int:
    """Choose the corpus in git anew: what was named by hand, and of all other inputs those that cover more."""
    corpus, found = CORPUS / name, FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    # Edges alone, not how often each was taken: that would keep hundreds of inputs.
    options = ["-merge=1", "-use_counters=0", f"-max_len={TARGETS[name].most}"]
    kept = [file for file in corpus.iterdir() if DIGEST.fullmatch(file.name)]
    with tempfile.TemporaryDirectory(prefix="pronghorn-corpus-") as folder:
        for file in set(corpus.iterdir()).difference(kept):
            shutil.copy(file, folder)
        ran = run(name, *options, folder, str(corpus), str(found))
        if ran.status == 0:
            for file in kept:
                file.unlink()
            shutil.copytree(folder, corpus, dirs_exist_ok=True)
    return ran.status


def list_targets() -> None:
    """What `make fuzz` says without a target."""
    print("make fuzz TARGET=<name> SECONDS=<how long>\n")
    for name, target in TARGETS.items():
        print(f"  {name:<14}{target.about}")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    for command in ("run", "minimise"):
        commands.add_parser(command).add_argument("target", choices=TARGETS)
    commands.choices["run"].add_argument("--seconds", type=int, default=60)
    commands.add_parser("replay").add_argument("file", type=Path)
    results = commands.add_parser("results")
    results.add_argument("--seconds", type=int, required=True)
    results.add_argument("targets", nargs="*", help="all of them without")
    results.add_argument("--jobs", type=int, default=1, help="targets at a time")
    given = parser.parse_args()
    if given.command == "run":
        return fuzz(given.target, given.seconds).status
    if given.command == "replay":
        return replay(given.file)
    if given.command == "minimise":
        return minimise(given.target)
    if given.command == "results":
        names = given.targets or list(TARGETS)
        if unknown := set(names).difference(TARGETS):
            parser.error(f"there is no target {unknown.pop()!r}: {', '.join(TARGETS)}")
        return measure(fuzz, [(name, FOUND / name, CORPUS / name) for name in names], given.seconds, given.jobs)
    list_targets()
    return 0


if __name__ == "__main__":
    sys.exit(main())
