"""The rules and flaws of rules.toml, and what shows each of them."""

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.protocol.vectors import REFUSED, SERVED

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Rule:
    """One rule. `pending` is what has to be built before it can apply, or empty."""

    number: int
    section: str
    says: str
    pending: str = ""


@dataclass(frozen=True)
class Flaw:
    """One known flaw: `rules` that answer it, or what is `pending`, or why it is not ours (`elsewhere`)."""

    id: str
    project: str
    about: str
    rules: tuple[int, ...] = ()
    pending: str = ""
    elsewhere: str = ""

    @property
    def word(self) -> str:
        """Its id as a part of a function's name."""
        return re.sub(r"\W", "_", self.id).lower()


def _with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


LIST = tomllib.loads((Path(__file__).parent / "rules.toml").read_text())
SECTIONS: dict[str, tuple[str, str]] = {row["letter"]: (row["title"], row["source"]) for row in LIST["section"]}
RULES = [Rule(**_with_tuples(row)) for row in LIST["rule"]]
FLAWS = [Flaw(**_with_tuples(row)) for row in LIST["flaw"]]
VECTORS = [*REFUSED, *SERVED]


@cache
def named_tests() -> tuple[str, ...]:
    """The names of all test functions."""
    return tuple(
        node.name
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def functions_of(rule: Rule) -> int:
    """How many test functions show a rule: `test_rule_12_…`, `test_rule_12_13_…`."""
    marks = (re.match(r"test_rule((?:_\d+)+)_", name) for name in named_tests())
    return sum(str(rule.number) in mark[1].split("_") for mark in marks if mark)


def vectors_of(rule: Rule) -> int:
    """How many vectors carry its number."""
    return sum(vector.rule == rule.number for vector in VECTORS)


def shown(flaw: Flaw) -> int:
    """How many vectors carry a flaw's id, and how many test functions do."""
    ours = sum(re.search(rf"_{flaw.word}(_|$)", name) is not None for name in named_tests())
    return ours + sum(flaw.id in vector.flaws for vector in VECTORS)
