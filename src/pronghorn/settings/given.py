"""What a source says: values with the place they come from, and what is wrong with the source itself."""

from typing import Any

from msgspec import Struct, field

from pronghorn.options.table import TABLE
from pronghorn.settings.gunicorn import ABSENT

ALIASES = {entry.option.gunicorn: name for name, entry in TABLE.items() if entry.option.gunicorn}
"""Gunicorn's names that differ from ours."""

DEFAULT = "default"
"""The origin of what no source gives."""

REMEDY = "`pronghorn --print-config` lists them all"


class Given(Struct, frozen=True):
    """One setting as a source gives it, not yet converted; ours by our name, or one that only Gunicorn has."""

    name: str
    value: object
    origin: str
    """Where it stands, for messages: `pronghorn.toml:7`, `environment WEB_CONCURRENCY`, `--workers`."""


class Hook(Struct, frozen=True):
    """A function of a Python file that bears the name of one of Gunicorn's hooks."""

    name: str
    function: Any
    """The function, or as a text where it can be imported from: `package.module.function`. A file may say anything."""
    origin: str


class Patch(Struct, frozen=True):
    """A source that is a program has replaced Python's threads, by `package`."""

    package: str
    origin: str


class Layer(Struct):
    """All that one source gives."""

    given: list[Given] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)
    patch: Patch | None = None


def setting_name(name: str) -> str | None:
    """Our name of a setting that is called `name` by us or by Gunicorn, or Gunicorn's of one that we do not have.

    None if there is none.
    """
    return name if name in TABLE or name in ABSENT else ALIASES.get(name)


def unknown(name: str, known: list[str], remedy: str) -> str:
    """The line about a name that is no setting, with the nearest one that is."""
    from difflib import get_close_matches  # noqa: PLC0415 - only needed when something is wrong

    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{name} is not a setting; " + (f"did you mean {near[0]}?" if near else remedy)


def known_names() -> list[str]:
    """Every name that a file may use."""
    return [*TABLE, *ALIASES]
