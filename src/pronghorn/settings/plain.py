"""Tables that a Python file may fill with objects, as data: a reload sends the settings to another process."""

import sys
from collections.abc import Mapping
from types import FunctionType
from typing import Any

STREAMS = ("stdin", "stdout", "stderr")
NAMED = ("()", "class")
"""Keys of logging's dictionaries that hold the name of a class or a function, and no value."""


def plain(value: object, *path: str) -> Any:
    """The value without objects: classes, functions and standard streams become the names that `logging` looks up.

    Raises:
        ValueError: with the place of what has no name.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner, *path, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner, *path) for inner in value]
    name = _name_of(value)
    if name is None:
        raise ValueError(
            f"{'.'.join(path)} is {value!r:.80}, which has no name; name what it is, as in 'ext://module.attribute'"
        )
    return name if path and path[-1] in NAMED else f"ext://{name}"


def _name_of(value: object) -> str | None:
    for stream in STREAMS:
        if value is getattr(sys, stream):
            return f"sys.{stream}"
    if isinstance(value, type | FunctionType) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    return None
