"""The command `pronghorn`: reads the command line, calls the file that does what it asks for, reports what is wrong."""

import functools
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pronghorn import __version__
from pronghorn.cli.check_config import check_config
from pronghorn.cli.parameters import build_parameters, config_in, given_in, help_sections, spell_out
from pronghorn.cli.print_config import print_config
from pronghorn.cli.serve import serve
from pronghorn.cli.source import Source
from pronghorn.errors import SettingsError, StartError
from pronghorn.options.inherited import addressed_to

NAME = "pronghorn"
GUNICORN_ARGUMENTS = "GUNICORN_CMD_ARGS"
MISTAKES = f"{NAME}.mistakes"
GUNICORN_ORIGIN = f"environment {GUNICORN_ARGUMENTS}"
INTERRUPTED = 130
"""Exit status of a command that the user stopped while it was starting: 128 and the number of SIGINT."""

ABOUT = """Serve the Python web application APP.

APP is written module:attribute, or as a call of a factory, "module:create_app()". Each option can also stand in
pronghorn.toml, or as PRONGHORN_<NAME> in the environment; the command line wins over the environment, and the
environment over files. Durations and sizes take units: 30s, 1.5m, 500ms, 64k, 16MiB.

`pronghorn dev` serves an application while it is written, and `pronghorn migrate` translates what starts Gunicorn
now; their own --help says more."""


class Command(click.Command):
    """A click command whose help has one section for each subject, and which knows Gunicorn's abbreviations."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. What is wrong with them stands in `ctx.meta[MISTAKES]`, a line each."""
        words, mistakes = spell_out(args), []
        ctx.allow_extra_args = True
        extra: list[str] | None = None
        while extra is None:
            try:
                extra = super().parse_args(ctx, list(words))
            except (click.NoSuchOption, click.BadOptionUsage) as error:
                # All problems are told at once: it is taken out, and the others are read.
                mistakes.append(self._take_out(words, error))
        # Whether the word behind an unknown option was its value nobody knows, so none is one too many then.
        if extra and not mistakes:
            mistakes.append(_one_too_many(ctx.params["app"], extra[0]))
        ctx.meta[MISTAKES] = mistakes
        return extra

    def _take_out(self, words: list[str], error: click.NoSuchOption | click.BadOptionUsage) -> str:
        """Take the option that the error is about out of the words; the error as a line.

        Short ones may stand together, as in `-Rx3`. Whether what is behind an unknown one was its value nobody knows.
        """
        name, line = error.option_name, one_line(error)
        valued = {flag for option in self.params if not getattr(option, "is_flag", False) for flag in option.opts}
        for index, word in enumerate(words):
            if word.partition("=")[0] == name:
                del words[index]
                return line
            letters = word[1:] if word.startswith("-") and not word.startswith("--") else ""
            for at, flag in enumerate((f"-{letter}" for letter in letters), 1):
                if flag == name:
                    words[index : index + 1] = [word[:at]] if at > 1 else []
                    return f"{name} in {word}{line.removeprefix(name)}"
                if flag in valued:
                    break
        raise error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        for title, rows in help_sections(ctx):
            with formatter.section(title):
                formatter.write_dl(rows, col_max=34)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those of the process); the exit status.

    0: ended as asked. 1: cannot listen, or failed while running. 2: the settings are wrong. 3: the application cannot
    be loaded.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # An application in a module of that name is called by its full name, migrate:application.
        if words[:1] == ["migrate"]:
            from pronghorn.cli.migrate import run_migrate  # noqa: PLC0415 - no server needs it

            return run_migrate(words[1:])
        if words[:1] == ["dev"]:
            from pronghorn.cli.dev import ABOUT as ABOUT_DEV  # noqa: PLC0415 - only for development
            from pronghorn.cli.dev import DevSource  # noqa: PLC0415

            command, words = build_command(DevSource, f"{NAME} dev", ABOUT_DEV), words[1:]
        else:
            command = build_command()
        status = command.main(words, prog_name=command.name, standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        _report(SettingsError(one_line(error)))
        return SettingsError.exit_status
    except StartError as error:
        _report(error)
        return error.exit_status
    # After --help and --version click returns the status, after a callback what the callback returned.
    return int(status or 0)


def build_command(kind: type[Source] = Source, name: str = NAME, about: str = ABOUT) -> Command:
    """The command, with a parameter for each setting. `kind` is how its settings are read."""
    return Command(
        name,
        params=[*build_parameters(), _version_option()],
        callback=click.pass_context(functools.partial(act, kind)),
        help=about,
        context_settings={"max_content_width": 120, "help_option_names": ["--help", "-h"]},
    )


def act(kind: type[Source], ctx: click.Context, /, **parameters: object) -> int:
    """Do what the parsed command line asks for; the exit status."""
    theirs, mistakes = read_gunicorn_arguments(ctx.command)
    given, config = given_in(ctx), config_in(ctx)
    if theirs is not None:
        # What is given later wins.
        given, config = [*given_in(theirs, GUNICORN_ORIGIN), *given], config or config_in(theirs, GUNICORN_ORIGIN)
    mistakes += ctx.meta[MISTAKES]
    source = kind(tuple(given), addressed_to(os.getpid(), os.environ), Path.cwd(), config, tuple(mistakes))
    asked = [parameters, theirs.params if theirs else {}]
    if any(said.get("print_config") for said in asked):
        return print_config(source)
    if any(said.get("check_config") for said in asked):
        return check_config(source)
    return serve(source)


def read_gunicorn_arguments(command: click.Command) -> tuple[click.Context | None, list[str]]:
    """The parsed arguments in GUNICORN_CMD_ARGS, if there are any, and what is wrong with them, a line each."""
    text = os.environ.get(GUNICORN_ARGUMENTS)
    if not text:
        return None, []
    try:
        ctx = command.make_context(NAME, shlex.split(text))
    except (click.UsageError, ValueError) as error:
        return None, [f"{GUNICORN_ORIGIN}: {one_line(error)}"]
    return ctx, [f"{GUNICORN_ORIGIN}: {mistake}" for mistake in ctx.meta[MISTAKES]]


def one_line(error: Exception) -> str:
    """The error's message as one line."""
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if isinstance(error, click.NoSuchOption):
        # Options of Gunicorn that are only there to be answered for are hidden: nobody means them.
        options = error.ctx.command.params if error.ctx else []
        hidden = {name for option in options if getattr(option, "hidden", False) for name in option.opts}
        meant = [name for name in error.possibilities or () if name not in hidden]
        message = f"{error.option_name}: there is no such option."
        message += f" Did you mean {' or '.join(meant)}?" if meant else ""
    elif isinstance(error, click.BadOptionUsage):
        message = f"{error.option_name}: " + message.replace(f"Option {error.option_name!r} ", "it ")
    return " ".join(message.split())


def _one_too_many(app: object, word: str) -> str:
    """The line about a second argument."""
    remedy = f"; leave {app} out" if ":" in word and ":" not in str(app) else ""
    return f"argument {word}: there is one argument, the application (module:attribute), and {app!r} is it{remedy}"


def _report(error: StartError) -> None:
    """Show the user what is wrong, a line for each problem."""
    if error.trace:
        print(error.trace.rstrip("\n"), file=sys.stderr)
    for line in error.problems if isinstance(error, SettingsError) else (str(error),):
        print(f"{NAME}: {line}", file=sys.stderr)


def _version_option() -> click.Parameter:
    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            click.echo(f"{NAME} {__version__}")
            ctx.exit()

    return click.Option(
        ["--version", "-v"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show the version."
    )
