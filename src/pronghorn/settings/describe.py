"""How settings read for people: in `--help`, in the reference page, in `--print-config`."""

from typing import Any

import msgspec

from pronghorn.options.option import Unit
from pronghorn.options.table import Entry, Kind
from pronghorn.settings.units import format_quantity

TYPES = {
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number",
    Kind.BOOLEAN: "true or false",
    Kind.TEXT: "text",
    Kind.LIST: "list of texts",
    Kind.MAPPING: "table, or its JSON",
}
UNITS = {Unit.SECONDS: "duration", Unit.BYTES: "size", Unit.MODE: "permission bits"}


def type_text(entry: Entry) -> str:
    """What sort of value it is."""
    if entry.option.choices:
        return "one of " + ", ".join(f"`{choice}`" for choice in entry.option.choices)
    return UNITS[entry.option.unit] if entry.option.unit else TYPES[entry.kind]


def default_text(entry: Entry) -> str:
    """The default, with its unit, as Markdown."""
    if entry.option.default_text is not None:
        return entry.option.default_text
    if entry.kind in (Kind.INTEGER, Kind.NUMBER):
        return format_quantity(entry.default, entry.option.unit)
    if entry.default == ():
        return "none"
    if entry.kind is Kind.BOOLEAN:
        return f"`{toml_value(entry.default)}`"
    return f"`{','.join(entry.default) if entry.kind is Kind.LIST else entry.default}`"


def help_text(markdown: str) -> str:
    """The text without Markdown's marks, for a terminal."""
    return markdown.replace("`", "")


def bounds_text(entry: Entry) -> str:
    """The bounds, with their unit; empty if there are none."""
    low, high = (
        None if bound is None else format_quantity(bound, entry.option.unit)
        for bound in (entry.option.minimum, entry.option.maximum)
    )
    if low is not None and high is not None:
        return f"{'0, or ' if entry.option.zero_is_most else ''}{low} to {high}"
    return f"at least {low}" if low is not None else ""


def toml_value(value: Any) -> str:
    """The value as TOML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(member) for member in value) + "]"
    if isinstance(value, dict):
        # As a text: TOML has no word for a null inside of it.
        return toml_value(msgspec.json.encode(value).decode())
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    # What JSON writes for a text, a number and a truth value is TOML too.
    return msgspec.json.encode(value).decode()
