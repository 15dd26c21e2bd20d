"""How one setting is declared: everything about it that is not its name, type and default."""

from collections.abc import Callable, Mapping
from enum import Enum

from msgspec import Struct


class Unit(Enum):
    """What a number means; a value with a unit may be written with a suffix (`30s`, `16MiB`)."""

    SECONDS = "seconds"
    BYTES = "bytes"
    MODE = "permission bits"


LONGEST = 366 * 24 * 3600
"""Seconds; a longer wait is a mistake, and one that no clock of the kernel overflows at."""


class Option(Struct, frozen=True, kw_only=True):
    """The declaration of one setting, placed beside its type: `threads: Annotated[int, Option(...)] = 8`.

    The command line option, the environment name, the key in a file, the reference page and the JSON schema are all
    made from it; nothing about a setting is written down a second time.
    """

    doc: str
    """What the setting does, in one or two sentences of Markdown."""
    flags: tuple[str, ...] = ()
    """Command line spellings, the one that messages use first; empty means `--` and the name with hyphens. A word
    without hyphens is the command's argument."""
    gunicorn: str | None = None
    """The name of the same setting in a Gunicorn configuration file; None where Gunicorn has none."""
    unit: Unit | None = None
    minimum: float | None = None
    """Smallest value allowed, in the unit."""
    maximum: float | None = None
    """Largest value allowed, in the unit."""
    zero_is_most: bool = False
    """Whether 0 is allowed besides, as Gunicorn's word for no limit: the largest value that other limits leave."""
    choices: tuple[str, ...] = ()
    """The words allowed, where the value is one of a few."""
    aliases: Mapping[str, str] = {}
    """Other spellings of the words allowed, in lower case."""
    metavar: str | None = None
    """What stands for the value in `--help`."""
    environment: tuple[str, ...] = ()
    """Environment names that platforms use, read besides `PRONGHORN_<NAME>`, which wins over them."""
    check: Callable[[str], object] | None = None
    """Called with the text, or with each text of a list; raises ValueError with a message that reads on from
    the setting's name: `'soon' is not a duration`."""
    bare: str | None = None
    """What the option on the command line means without a value; None: it must have one."""
    takes_table: bool = False
    """Whether a file may write the list of `NAME=value` texts as a table."""
    number_as_text: bool = False
    """Whether a file may write the text as a number: a user's id."""
    separator: str | None = ","
    """What may separate the members of a list that is written as one text; None: nothing may."""
    own_environment: bool = True
    """Whether `PRONGHORN_<NAME>` is read."""
    default_text: str | None = None
    """How the default reads where it is computed at start."""
