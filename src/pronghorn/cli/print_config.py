"""`pronghorn --print-config`: every setting, its value and its origin, as a `pronghorn.toml` that means the same."""

from msgspec import structs

from pronghorn.cli.source import Source
from pronghorn.options.option import Unit
from pronghorn.options.table import SUBJECTS, TABLE
from pronghorn.settings import Loaded
from pronghorn.settings.describe import toml_value
from pronghorn.settings.units import format_quantity

WIDEST = 60
"""Columns up to which the origins are aligned."""


def print_config(source: Source) -> int:
    """Print the settings; exit status 0. SettingsError if some are wrong."""
    print(render(source.load(needs_app=False)))
    return 0


def render(loaded: Loaded) -> str:
    """One line for each setting, under a comment for each subject."""
    sections = {
        struct: [
            (line(name, value), loaded.origins[name])
            for name, value in structs.asdict(getattr(loaded.settings, subject)).items()
        ]
        for subject, struct in SUBJECTS.items()
    }
    width = max(len(text) for rows in sections.values() for text, _ in rows if len(text) <= WIDEST)
    blocks = [
        "\n".join([f"# {struct.__doc__}", *(f"{text:<{width}}  # {origin}" for text, origin in rows)])
        for struct, rows in sections.items()
    ]
    return "\n\n".join(blocks)


def line(name: str, value: object) -> str:
    """The setting as TOML writes it; TOML has no word for "not set"."""
    if value is None:
        return f"# {name} is not set"
    # Nobody reads permission bits in decimal, and TOML has octal numbers.
    if isinstance(value, int) and TABLE[name].option.unit is Unit.MODE:
        return f"{name} = {format_quantity(value, Unit.MODE)}"
    return f"{name} = {toml_value(value)}"
