"""Runs files through a target without libFuzzer: `python -m fuzz.replay BUILD TARGET FILE-OR-FOLDER...`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fuzz.targets import load, use_build


def inputs(places: Iterable[Path]) -> Iterator[Path]:
    """The files that are named, and those in folders that are."""
    for place in places:
        yield from sorted(place.iterdir()) if place.is_dir() else [place]


def replay(target: str, places: Iterable[Path]) -> int:
    """Check every input, and say which of them failed; how many there were."""
    check = load(target)
    count = 0
    for count, file in enumerate(inputs(places), start=1):  # noqa: B007 - the last number is how many
        try:
            check(file.read_bytes())
        except Exception as error:
            error.add_note(f"the input is {file}")
            raise
    return count


if __name__ == "__main__":
    use_build(sys.argv[1])
    print(replay(sys.argv[2], map(Path, sys.argv[3:])))
