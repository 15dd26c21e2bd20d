"""The corpus of every fuzz target, held to what the target checks; without clang, in a build of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.differences import DIFFERENCES, explained
from fuzz.targets import TARGETS
from fuzz.targets.differential import check, read, read_h11, read_httptools

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "fuzz" / "corpus"


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_holds(fuzz_build, target):
    command = [sys.executable, "-m", "fuzz.replay", fuzz_build, target, str(CORPUS / target)]
    said = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) == len(list((CORPUS / target).iterdir())) > 0


def test_every_module_that_takes_bytes_of_a_peer_is_a_target():
    wire = {f"pronghorn.wire.{file.stem}" for file in (ROOT / "src" / "pronghorn" / "wire").glob("*.pyx")}
    assert wire <= {module for target in TARGETS.values() for module in target.covers}


@pytest.mark.parametrize("known", DIFFERENCES, ids=lambda known: f"{known.who}: {known.section}")
def test_each_known_difference_is_one(known):
    check(known.example)
    theirs, refusal = {"h11": read_h11, "httptools": read_httptools}[known.who](known.example)
    ours, _ = read(known.example)
    assert sum(request.complete for request in ours) > sum(request.complete for request in theirs)
    number = sum(request.complete for request in theirs)
    assert explained(known.who, ours[number], theirs[number] if number < len(theirs) else None, refusal)


def test_a_difference_that_is_not_known_is_a_finding(monkeypatch):
    monkeypatch.setattr("fuzz.differences.DIFFERENCES", ())
    for known in DIFFERENCES:
        with pytest.raises(AssertionError, match="does not serve this"):
            check(known.example)
