"""Click's parameters and the sections of `--help`, made from the table of settings."""

from collections.abc import Iterator, Sequence

import click

from pronghorn.options.table import SUBJECTS, TABLE, Entry, Kind
from pronghorn.settings import Given
from pronghorn.settings.describe import bounds_text, default_text, help_text, type_text
from pronghorn.settings.gunicorn import ABSENT, Absent, Takes

COMMAND_OPTIONS: tuple[click.Parameter, ...] = (
    click.Option(
        ["--config", "-c"],
        metavar="FILE",
        help="Read settings from this .toml or Python file, and from no other.",
    ),
    click.Option(
        ["--check-config"],
        is_flag=True,
        help="Check the settings, import the application, and exit: 0 if all is well, 2 or 3 if not.",
    ),
    click.Option(
        ["--print-config"],
        is_flag=True,
        help="Print each setting with its value and its origin, and exit.",
    ),
)
"""What is said on the command line only, because it is about the sources and not about the server."""


def build_parameters() -> list[click.Parameter]:
    """Every parameter of the command."""
    return [
        *COMMAND_OPTIONS,
        *(_parameter(entry) for entry in TABLE.values()),
        *(_absent_option(absent) for absent in ABSENT.values() if absent.flags),
    ]


def _absent_option(absent: Absent) -> click.Parameter:
    """An option of Gunicorn that is taken in order to be answered; it is not in the help."""
    names = [absent.name, *absent.flags]
    if absent.takes is Takes.NOTHING:
        return click.Option(names, is_flag=True, flag_value=absent.stands_for, default=None, hidden=True)
    return click.Option(names, type=click.UNPROCESSED, hidden=True)


def _parameter(entry: Entry) -> click.Parameter:
    # Values stay texts here: settings converts those of all sources alike and reports all problems together.
    flags = list(entry.flags)
    if not is_option(entry):
        return click.Argument([entry.name], required=False, metavar=f"[{flags[0]}]")
    if entry.negative:
        return click.Option([entry.name, f"{flags[0]}/{entry.negative}", *flags[1:]], default=None)
    if entry.option.bare is not None:
        return click.Option(
            [entry.name, *flags],
            is_flag=False,
            flag_value=entry.option.bare,
            type=click.UNPROCESSED,
            metavar=metavar(entry),
        )
    return click.Option(
        [entry.name, *flags], type=click.UNPROCESSED, multiple=entry.kind is Kind.LIST, metavar=metavar(entry)
    )


def given_in(ctx: click.Context, source: str | None = None) -> list[Given]:
    """The settings that were said in a parsed command line; `source` is their origin if it is not the flag itself."""
    given = []
    for name, entry in TABLE.items():
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            value = ctx.params[name]
            flag = entry.flags[0] if is_option(entry) else f"argument {entry.flags[0]}"
            if value is False:
                flag = entry.negative or flag
            given.append(Given(name, value, source or flag))
    for name, absent in ABSENT.items():
        if absent.flags and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            given.append(Given(name, ctx.params[name], source or absent.flags[0]))
    return given


def config_in(ctx: click.Context, source: str = "--config") -> Given | None:
    """The file that was named for settings in a parsed command line; `source` is its origin."""
    file = ctx.params["config"]
    return None if file is None else Given("config", file, source)


def spell_out(arguments: Sequence[str]) -> list[str]:
    """The arguments with Gunicorn's options written in full: its parser takes each beginning that fits one only."""
    words = list(arguments)
    for index, word in enumerate(words):
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        if flag.startswith("--") and flag not in OUR_FLAGS:
            fitting = {full for full in GUNICORN_FLAGS if full.startswith(flag)}
            if len(fitting) == 1:
                words[index] = fitting.pop() + equals + value
    return words


def help_sections(ctx: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The title and the rows of each section of `--help`."""
    for subject, struct in SUBJECTS.items():
        rows = [
            (_spelling(entry), _explanation(entry))
            for entry in TABLE.values()
            if entry.subject == subject and is_option(entry)
        ]
        yield (struct.__doc__ or subject).rstrip("."), rows
    others = (
        parameter.get_help_record(ctx) for parameter in ctx.command.get_params(ctx) if parameter.name not in TABLE
    )
    yield "The command", [record for record in others if record is not None]


def _spelling(entry: Entry) -> str:
    # Short ones first, as every command's help has them.
    flags = ", ".join(sorted(entry.flags, key=len))
    if entry.negative:
        return f"{flags} / {entry.negative}"
    return f"{flags} {metavar(entry)}"


def _explanation(entry: Entry) -> str:
    facts = [f"default: {default_text(entry)}", bounds_text(entry)]
    if entry.option.choices:
        facts.insert(0, type_text(entry))
    return help_text(f"{entry.option.doc} [{'; '.join(fact for fact in facts if fact)}]")


def is_option(entry: Entry) -> bool:
    """Whether it is an option; the application is the command's argument."""
    return entry.flags[0].startswith("-")


def metavar(entry: Entry) -> str:
    """What stands for the value."""
    return entry.option.metavar or (type_text(entry).upper() if entry.option.unit else PLACEHOLDERS[entry.kind])


PLACEHOLDERS = {
    Kind.INTEGER: "NUMBER",
    Kind.NUMBER: "NUMBER",
    Kind.TEXT: "WORD",
    Kind.LIST: "TEXT",
    Kind.MAPPING: "JSON",
}

GUNICORN_FLAGS = frozenset(
    flag
    for flags in (
        *(entry.flags for entry in TABLE.values() if entry.option.gunicorn),
        *(absent.flags for absent in ABSENT.values()),
        *(option.opts for option in COMMAND_OPTIONS),
        ("--version", "--help"),
    )
    for flag in flags
    if flag.startswith("--")
)
"""The long options that Gunicorn has."""

OUR_FLAGS = GUNICORN_FLAGS.union(*(entry.flags for entry in TABLE.values()))
