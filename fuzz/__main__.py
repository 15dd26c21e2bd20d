"""The commands behind `make fuzz`: run a target, replay files, minimise a corpus, measure all targets."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from fuzz.results import measure
from fuzz.targets import BUILDS, LIBFUZZER, ROOT, TARGETS

CORPUS = ROOT / "fuzz" / "corpus"
FOUND = BUILDS / "corpus"
"""What a run finds worth keeping; it grows from run to run on this machine, and is not in git."""
FINDINGS = BUILDS / "findings"

SLOWEST = 10
"""Seconds for one input, after which it counts as a hang."""


def run(name: str, *arguments: str) -> subprocess.Popen[str]:
    """Start libFuzzer on a target; what it says comes on one pipe."""
    environ = {
        **os.environ,
        "FUZZ_TARGET": name,
        "FUZZ_PYTHON": sys.executable,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "PYTHONMALLOC": "malloc",  # so that AddressSanitizer knows the interpreter's objects too
        "PYTHONHASHSEED": "0",
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=64",  # the interpreter never frees what it interned
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    driver = str(BUILDS / LIBFUZZER / "driver")
    return subprocess.Popen(
        [driver, *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )


def fuzz(name: str, seconds: int) -> tuple[str, int]:
    """Fuzz a target for a time; what libFuzzer said, and its exit status."""
    target = TARGETS[name]
    for folder in (FOUND / name, FINDINGS / name):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", f"-max_len={target.most}", f"-timeout={SLOWEST}", "-print_final_stats=1",
        f"-artifact_prefix={FINDINGS / name}/",
    ]  # fmt: skip
    if target.dictionary:
        options.append(f"-dict={ROOT / 'fuzz' / 'dictionaries' / target.dictionary}.dict")
    process = run(name, *options, str(FOUND / name), str(CORPUS / name))
    said = []
    for line in process.stdout or ():
        said.append(line)
        # The rest is a line for each input that is kept.
        if not line.startswith("#") or "pulse" in line or "DONE" in line:
            print(line, end="", flush=True)
    return "".join(said), process.wait()


def replay(file: Path) -> int:
    """Run one input, which lies in a folder of its target's name; 0 when nothing is wrong with it."""
    process = run(file.resolve().parent.name, str(file))
    for line in process.stdout or ():
        print(line, end="")
    return process.wait()


def minimise(name: str) -> int:
    """Add to the corpus in git what covers more, from what runs have found here."""
    (FOUND / name).mkdir(parents=True, exist_ok=True)
    # Edges alone, not how often each was taken: that would keep hundreds of inputs.
    options = ["-merge=1", "-use_counters=0", f"-max_len={TARGETS[name].most}"]
    process = run(name, *options, str(CORPUS / name), str(FOUND / name))
    for line in process.stdout or ():
        print(line, end="")
    return process.wait()


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
    results.add_argument("--jobs", type=int, default=1, help="targets at a time")
    given = parser.parse_args()
    if given.command == "run":
        return fuzz(given.target, given.seconds)[1]
    if given.command == "replay":
        return replay(given.file)
    if given.command == "minimise":
        return minimise(given.target)
    if given.command == "results":
        return measure(fuzz, [(name, FOUND / name, CORPUS / name) for name in TARGETS], given.seconds, given.jobs)
    list_targets()
    return 0


if __name__ == "__main__":
    sys.exit(main())
