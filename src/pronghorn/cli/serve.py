"""`pronghorn APP`: serve until a signal stops the server."""

import glob
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pronghorn.cli.source import Source
from pronghorn.errors import StartError
from pronghorn.observe.sink import STANDARD
from pronghorn.options import Settings
from pronghorn.options.inherited import HANDOVER, addressed_to
from pronghorn.settings.load import given_by_program


def serve(source: Source, *, ends: bool = True) -> int:
    """Run the arbiter; its exit status. StartError if the server cannot start.

    `ends`: the process ends with it.
    """
    try:
        settings = _settings(source)
    except StartError as error:
        if HANDOVER in os.environ:
            from pronghorn.arbiter.succession import report_failure  # noqa: PLC0415

            report_failure(str(error))
        raise
    # Nothing but serving needs the arbiter, which brings the native modules.
    from pronghorn.arbiter import run  # noqa: PLC0415

    return run(settings, lambda: _settings(source), ends=ends)


def serve_app(app: str, settings: Mapping[str, object]) -> int:
    """Run the arbiter for a program that calls `pronghorn.run`; its exit status. StartError as with `serve`."""
    arguments, config = given_by_program(app, settings)
    return serve(Source(arguments, addressed_to(os.getpid(), os.environ), Path.cwd(), config), ends=False)


def _settings(source: Source) -> Settings:
    """The settings, with files named from the directory the command was started in.

    Workers and reloads open logs later, when a preloaded application may have changed the current directory. And what
    settings are read from is watched like the files that they name.
    """
    settings = source.load().settings
    logs, development = settings.logs, settings.development
    watched = [str(Path(glob.escape(str(source.cwd))) / pattern) for pattern in development.reload_extra_files]
    placed = msgspec.structs.replace(
        logs,
        errorlog=_placed(source.cwd, logs.errorlog),
        accesslog=logs.accesslog and _placed(source.cwd, logs.accesslog),
    )
    if development.reload:
        watched += [glob.escape(str(path)) for path in source.files()]
        development = msgspec.structs.replace(development, reload_extra_files=tuple(watched))
    return msgspec.structs.replace(settings, logs=placed, development=development)


def _placed(folder: Path, log: str) -> str:
    return log if log == STANDARD else str(folder / log)
