"""From what stands in a source to the value of a setting: type, unit, bounds."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeGuard

import msgspec

from pronghorn.options.option import Unit
from pronghorn.options.table import Entry, Kind
from pronghorn.settings.plain import plain
from pronghorn.settings.units import format_quantity, parse_quantity

WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def convert(entry: Entry, raw: object) -> Any:
    """The value of the setting, of the type its struct declares.

    `raw` is a text from the command line or the environment, or whatever a TOML or Python file holds. ValueError says
    what is wrong in words that name the setting, the value, and what would be right.
    """
    # Gunicorn takes an empty text for none where it has the setting.
    if entry.optional and (raw is None or (raw == "" and entry.option.gunicorn)):
        return None
    return CONVERTERS[entry.kind](entry, raw)


def _integer(entry: Entry, raw: object) -> int:
    number = _quantity(entry, raw)
    if number != int(number):
        raise _wrong(entry, raw, "a whole number")
    return int(number)


def _quantity(entry: Entry, raw: object) -> float:
    unit = entry.option.unit
    if isinstance(raw, str):
        if unit is not None:
            try:
                number = parse_quantity(raw, unit)
            except ValueError as error:
                raise ValueError(f"{entry.name} {error}") from error
        else:
            number = _plain_number(entry, raw)
    elif isinstance(raw, int | float) and not isinstance(raw, bool) and isfinite(raw):
        number = raw
    else:
        raise _wrong(entry, raw, "a number")
    _check_bounds(entry, number, raw)
    return number


def _plain_number(entry: Entry, raw: str) -> float:
    digits = raw.strip()
    # Python's int() also takes "1_0" and digits of other scripts, which nobody means.
    if not digits.removeprefix("-").isdigit() or not digits.isascii():
        raise _wrong(entry, raw, "a whole number")
    return int(digits)


def _check_bounds(entry: Entry, number: float, raw: object) -> None:
    option = entry.option
    if option.zero_is_most and number == 0:
        return
    if option.minimum is not None and number < option.minimum:
        raise _wrong(entry, raw, f"at least {format_quantity(option.minimum, option.unit)}")
    if option.maximum is not None and number > option.maximum:
        raise _wrong(entry, raw, f"at most {format_quantity(option.maximum, option.unit)}")


def _number(entry: Entry, raw: object) -> float:
    return float(_quantity(entry, raw))


def _boolean(entry: Entry, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in WORDS:
        return WORDS[raw.strip().lower()]
    raise _wrong(entry, raw, "true or false")


def _text(entry: Entry, raw: object) -> str:
    if entry.option.number_as_text and isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if isinstance(raw, bool) and str(raw).lower() in entry.option.aliases:
        raw = str(raw)
    if not _is_text(raw):
        raise _wrong(entry, raw, "a text")
    choices = entry.option.choices
    # Gunicorn takes INFO for info.
    text = raw.lower() if raw.lower() in choices else entry.option.aliases.get(raw.lower(), raw)
    if entry.option.check is None and choices and text not in choices:
        raise _wrong(entry, raw, f"one of {', '.join(choices)}")
    _check(entry, text)
    return text


def _list(entry: Entry, raw: object) -> tuple[str, ...]:
    if entry.option.takes_table and isinstance(raw, Mapping):
        raw = [f"{name}={value}" for name, value in raw.items()]
    members = [raw] if isinstance(raw, str) else raw
    if not isinstance(members, Sequence) or not all(_is_text(member) for member in members):
        raise _wrong(entry, raw, "a text or a list of texts")
    separator = entry.option.separator
    texts = [part.strip() for member in members for part in (member.split(separator) if separator else [member])]
    # A trailing comma is no member.
    values = tuple(text for text in texts if text)
    for value in values:
        _check(entry, value)
    return values


def _mapping(entry: Entry, raw: object) -> dict[str, Any]:
    if isinstance(raw, str):
        try:
            raw = msgspec.json.decode(raw) if raw.strip() else {}
        except msgspec.DecodeError as error:
            raise ValueError(f"{entry.name} {_shown(raw)} is not JSON: {error}") from error
    if not isinstance(raw, Mapping):
        raise _wrong(entry, raw, "a table")
    try:
        found: dict[str, Any] = plain(raw)
    except ValueError as error:
        raise ValueError(f"{entry.name}.{error}") from error
    return found


def _is_text(raw: object) -> TypeGuard[str]:
    """Whether it is a text that a file could hold: no NUL, none of the bytes Python reads as half a character."""
    return isinstance(raw, str) and "\0" not in raw and not any("\ud800" <= letter <= "\udfff" for letter in raw)


def _check(entry: Entry, text: str) -> None:
    if entry.option.check is not None:
        try:
            entry.option.check(text)
        except ValueError as error:
            raise ValueError(f"{entry.name} {error}") from error


def _wrong(entry: Entry, raw: object, right: str) -> ValueError:
    example = f" (such as {EXAMPLE[entry.option.unit]})" if entry.option.unit and right == "a number" else ""
    return ValueError(f"{entry.name} must be {right}{example}, not {_shown(raw)}")


def _shown(raw: object) -> str:
    shown = repr(raw)
    return shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "…"


EXAMPLE = {Unit.SECONDS: "30 or '30s'", Unit.BYTES: "65536 or '64k'", Unit.MODE: "0o027"}
LONGEST_SHOWN = 80

CONVERTERS: dict[Kind, Callable[[Entry, object], Any]] = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: _text,
    Kind.LIST: _list,
    Kind.MAPPING: _mapping,
}
