"""Settings from `pronghorn.toml` and from `[tool.pronghorn]` in `pyproject.toml`."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pronghorn.options.table import TABLE, Kind
from pronghorn.settings.given import REMEDY, Given, Layer, known_names, setting_name, unknown
from pronghorn.settings.hooks import HOOKS

PYPROJECT_TABLE = ("tool", "pronghorn")

PLACE = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)

TABLES = [name for name, entry in TABLE.items() if entry.kind is Kind.MAPPING or entry.option.takes_table]
"""The settings that may be written as a table."""


def read_toml(path: Path, shown: str) -> Layer:
    """The settings of a file of our own, which stand at its top level. `shown` is the path for messages."""
    return _read(path, shown, ())


def read_pyproject(path: Path, shown: str) -> Layer:
    """The settings in `[tool.pronghorn]`; nothing else in the file is looked at."""
    return _read(path, shown, PYPROJECT_TABLE)


def _read(path: Path, shown: str, table: tuple[str, ...]) -> Layer:
    layer = Layer()
    try:
        text = path.read_text(encoding="utf-8")
        document: Any = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        layer.problems.append(f"{shown}{_reason(error)}")
        return layer
    for key in table:
        document = document.get(key, {}) if isinstance(document, dict) else {}
    if not isinstance(document, dict) or not document:
        return layer
    lines = key_lines(text)
    place = f":[{'.'.join(table)}]" if table else ""
    for key, value in document.items():
        line = lines.get((*table, key))
        origin = f"{shown}:{line}{place}" if line else f"{shown}{place}"
        name = setting_name(key)
        if key in HOOKS:
            layer.problems.append(f"{origin}: {key} is a hook, and hooks are functions: give it in a Python file")
        elif name is None:
            layer.problems.append(f"{origin}: {_unknown(key, value, table)}")
        else:
            layer.given.append(Given(name, value, origin))
    return layer


def _reason(error: Exception) -> str:
    """What is wrong with the file, behind its name; with the line first where there is one."""
    if isinstance(error, OSError):
        return f": {error.strerror or error}"
    # Before 3.14 tomllib says the place in its text only.
    place = PLACE.fullmatch(str(error))
    return f":{place['line']}: {place['what']} (column {place['column']})" if place else f": {error}"


def _unknown(key: str, value: object, table: tuple[str, ...]) -> str:
    """The line about a key that is no setting."""
    if not isinstance(value, dict):
        return unknown(key, known_names(), REMEDY)
    near = unknown(key, TABLES, "")
    if near.endswith("?"):
        return near
    where = f"[{'.'.join(table)}]" if table else "the top level"
    return f"[{'.'.join((*table, key))}] is not a table of settings: they stand at {where}; {REMEDY}"


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each key of a valid TOML document first stands, by the key's path from the top.

    tomllib does not tell. But every statement of TOML is a document by itself, and no proper part of one that ends at
    a line's end is; so lines are gathered until tomllib takes them.
    """
    lines: dict[tuple[str, ...], int] = {}
    header: tuple[str, ...] = ()
    statement, start = "", 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not statement:
            start = number
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        is_header = statement.lstrip().startswith("[")
        path = _path(parsed) if is_header else header + _path(parsed)
        header = path if is_header else header
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], start)
        statement = ""
    return lines


def _path(parsed: dict[str, Any]) -> tuple[str, ...]:
    """The key that a document of one statement defines, as far as it is one key."""
    path: list[str] = []
    node: Any = parsed
    while isinstance(node, dict) and len(node) == 1:
        key, node = next(iter(node.items()))
        path.append(key)
    return tuple(path)
