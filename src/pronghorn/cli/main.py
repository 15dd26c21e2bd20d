"""The command `pronghorn`: reads the command line, calls the file that does what it asks for, reports what is wrong."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pronghorn import __version__
from pronghorn.cli.check_config import check_config
from pronghorn.cli.parameters import build_parameters, given_in, help_sections
from pronghorn.cli.print_config import print_config
from pronghorn.cli.serve import serve
from pronghorn.cli.source import Source
from pronghorn.errors import AppLoadError, SettingsError, StartError
from pronghorn.options.inherited import addressed_to

NAME = "pronghorn"
GUNICORN_ARGUMENTS = "GUNICORN_CMD_ARGS"
INTERRUPTED = 130
"""Exit status of a command that the user stopped while it was starting: 128 and the number of SIGINT."""

ABOUT = """Serve the Python web application APP.

APP is written module:attribute, or as a call of a factory, "module:create_app()". Each option can also stand in
pronghorn.toml, or as PRONGHORN_<NAME> in the environment; the command line wins over the environment, and the
environment over files. Durations and sizes take units: 30s, 1.5m, 500ms, 64k, 16MiB."""


class Command(click.Command):
    """A click command whose help has one section for each subject."""

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
    try:
        status = build_command().main(arguments, prog_name=NAME, standalone_mode=False)
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


def build_command() -> Command:
    """The command, with a parameter for each setting."""
    return Command(
        NAME,
        params=[*build_parameters(), _version_option()],
        callback=click.pass_context(act),
        help=ABOUT,
        context_settings={"max_content_width": 120, "help_option_names": ["--help", "-h"]},
    )


def act(ctx: click.Context, /, **parameters: object) -> int:
    """Do what the parsed command line asks for; the exit status."""
    source = read_source(ctx)
    if parameters["print_config"]:
        return print_config(source)
    if parameters["check_config"]:
        return check_config(source)
    return serve(source)


def read_source(ctx: click.Context) -> Source:
    """The sources of the settings. SettingsError if the arguments in GUNICORN_CMD_ARGS cannot be read."""
    given, config = given_in(ctx), ctx.params["config"]
    text = os.environ.get(GUNICORN_ARGUMENTS)
    if text:
        origin = f"environment {GUNICORN_ARGUMENTS}"
        try:
            theirs = ctx.command.make_context(NAME, shlex.split(text))
        except (click.UsageError, ValueError) as error:
            raise SettingsError(f"{origin}: {one_line(error)}") from error
        # What is given later wins.
        given, config = [*given_in(theirs, origin), *given], config or theirs.params["config"]
    return Source(tuple(given), addressed_to(os.getpid(), os.environ), Path.cwd(), config)


def one_line(error: Exception) -> str:
    """The error's message as one line."""
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return " ".join(message.split())


def _report(error: StartError) -> None:
    """Show the user what is wrong, a line for each problem."""
    if isinstance(error, AppLoadError) and error.trace:
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
