"""The table of all settings, read from the structs: what the command line, files and documents are made from."""

from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from pronghorn.options.option import Option
from pronghorn.options.tree import Settings


class Kind(Enum):
    """What sort of value a setting takes."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "string"
    LIST = "array"
    MAPPING = "object"


KINDS = {
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    str: Kind.TEXT,
    tuple: Kind.LIST,
    dict: Kind.MAPPING,
}


class Entry(Struct, frozen=True, kw_only=True):
    """One setting."""

    name: str
    subject: str
    """The member of `Settings` it stands in."""
    kind: Kind
    optional: bool
    """Whether None (not set) is a value of its own."""
    default: Any
    option: Option

    @property
    def flags(self) -> tuple[str, ...]:
        """Its spellings on the command line; the first is the one that messages use."""
        return self.option.flags or ("--" + self.name.replace("_", "-"),)

    @property
    def negative(self) -> str | None:
        """The spelling that says no to a truth value: `--no-preload`."""
        return f"--no-{self.flags[0].removeprefix('--')}" if self.kind is Kind.BOOLEAN else None

    @property
    def environment(self) -> tuple[str, ...]:
        """Its names in the environment; the first that is set wins."""
        return ((self.variable,) if self.variable else ()) + self.option.environment

    @property
    def variable(self) -> str | None:
        """The one of them that is ours."""
        return f"PRONGHORN_{self.name.upper()}" if self.option.own_environment else None


def read_table() -> dict[str, Entry]:
    """Every setting by its name, in the order of declaration."""
    table: dict[str, Entry] = {}
    for subject in msgspec.structs.fields(Settings):
        hints = get_type_hints(subject.type, include_extras=True)
        for field in msgspec.structs.fields(subject.type):
            hint, option = get_args(hints[field.name])
            optional = NoneType in get_args(hint)
            kind = KINDS[get_args(hint)[0] if optional else (get_origin(hint) or hint)]
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            table[field.name] = Entry(
                name=field.name, subject=subject.name, kind=kind, optional=optional, default=default, option=option
            )
    return table


TABLE = read_table()

SUBJECTS = {subject.name: subject.type for subject in msgspec.structs.fields(Settings)}
"""The struct of each subject."""
