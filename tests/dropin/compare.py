"""Two observations held against each other, and the differences that are meant."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

KEPT = Path(__file__).parent / "gunicorn.json"
"""What Gunicorn showed, by case; written by `make dropin`."""


@dataclass(frozen=True)
class Difference:
    """One place where the two are not alike. A side that has nothing there has the empty text."""

    case: str
    place: str
    gunicorn: str
    pronghorn: str

    def __str__(self) -> str:
        return f"{self.case}: {self.place}: Gunicorn {self.gunicorn!r}, Pronghorn {self.pronghorn!r}"


@dataclass(frozen=True)
class Meant:
    """Differences that are on purpose, by patterns of fnmatch, and the purpose."""

    why: str
    place: str
    case: str = "*"
    gunicorn: str = "*"
    pronghorn: str = "*"

    def covers(self, found: Difference) -> bool:
        """Whether it is one of these."""
        return all(
            fnmatchcase(value, pattern)
            for value, pattern in (
                (found.case, self.case),
                (found.place, self.place),
                (found.gunicorn, self.gunicorn),
                (found.pronghorn, self.pronghorn),
            )
        )


def leaves(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Every single value of an observation and where it stands. A body that is JSON is looked into."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            yield place, str(value)
            return
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from leaves(part, f"{place}/{name}" if place else str(name))
    elif isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
        for number, part in enumerate(value):
            yield from leaves(part, f"{place}/{number}")
    elif isinstance(value, list):
        for line, times in sorted(Counter(map(str, value)).items()):
            yield f"{place}: {line}", f"{times} times"
    else:
        yield place, str(value)


def differences(case: str, gunicorn: object, pronghorn: object) -> list[Difference]:
    """Where the two are not alike."""
    theirs, ours = dict(leaves(gunicorn)), dict(leaves(pronghorn))
    return [
        Difference(case, place, theirs.get(place, ""), ours.get(place, ""))
        for place in sorted(theirs.keys() | ours.keys())
        if theirs.get(place, "") != ours.get(place, "")
    ]
