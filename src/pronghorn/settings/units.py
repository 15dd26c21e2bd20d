"""Durations and sizes as people write them: `30s`, `1.5m`, `16MiB`, `64k`."""

import re

from pronghorn.options.option import Unit

DAY = 24 * 3600
DURATIONS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": DAY}

SIZES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
"""Letters after IEC 80000-13: kB is 1000. A lone letter is a power of 1024, as in nginx."""
for _power, _letter in enumerate("kmgt", start=1):
    SIZES[_letter] = SIZES[f"{_letter}ib"] = 1024**_power
SIZES["tb"] = 1000**4

QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)")
OCTAL = re.compile(r"0[oO]?([0-7]+)|([0-7])")
EXAMPLES = {
    Unit.MODE: "0o027 or 027",
    Unit.SECONDS: "30, 30s, 1.5m, 500ms or 2h",
    Unit.BYTES: "65536, 64k, 16MiB or 1GiB",
}


def parse_quantity(text: str, unit: Unit) -> float:
    """The number of seconds or bytes that `text` means; a plain number is in the unit itself.

    ValueError says how to write one.
    """
    if unit is Unit.MODE:
        return _parse_mode(text)
    match = QUANTITY.fullmatch(text.strip())
    scale = match and (1 if not match[2] else _suffixes(unit).get(match[2].lower()))
    if match is None and QUANTITY.fullmatch(text.strip().removeprefix("-")):
        raise ValueError(f"must not be negative, as {text!r} is: write {EXAMPLES[unit]}")
    if match is None or scale is None:
        raise ValueError(f"{text!r} is not a {_noun(unit)}: write {EXAMPLES[unit]}")
    return float(match[1]) * scale


def format_quantity(value: float, unit: Unit | None) -> str:
    """The value with its unit, for people: `30 s`, `16 MiB`, `8`."""
    if unit is Unit.SECONDS:
        return f"{value / DAY:g} d" if value and value % DAY == 0 else f"{value:g} s"
    if unit is Unit.BYTES:
        for scale, suffix in ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
            if value >= scale and value % scale == 0:
                return f"{value // scale:.0f} {suffix}"
        return "1 byte" if value == 1 else f"{value:.0f} bytes"
    if unit is Unit.MODE:
        return f"0o{int(value):03o}"
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


def _parse_mode(text: str) -> float:
    # "27" is decimal to Gunicorn and octal to everybody who means permissions.
    match = OCTAL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a set of permission bits: write {EXAMPLES[Unit.MODE]}")
    return int(match[1] or match[2], 8)


def _suffixes(unit: Unit) -> dict[str, float] | dict[str, int]:
    return DURATIONS if unit is Unit.SECONDS else SIZES


def _noun(unit: Unit) -> str:
    return "duration" if unit is Unit.SECONDS else "size"
