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
from pronghorn.options.logs import LogOptions
from pronghorn.settings import Hook
from pronghorn.settings.load import given_by_program
from pronghorn.settings.python_file import CONFIG


def serve(source: Source, *, ends: bool = True) -> int:
    """Run the arbiter; its exit status. StartError if the server cannot start.

    `ends`: the process ends with it.
    """
    try:
        settings, hooks = _read(source, starts=True)
    except StartError as error:
        if HANDOVER in os.environ:
            from pronghorn.arbiter.succession import report_failure  # noqa: PLC0415

            report_failure(str(error))
        raise
    # Nothing but serving needs the arbiter, which brings the native modules.
    from pronghorn.arbiter import Hooks, Sources, run  # noqa: PLC0415

    def read_again() -> tuple[Settings, bool]:
        settings, hooks = _read(source, starts=False)
        return settings, bool(hooks) or _names_config(settings.logs)

    return run(settings, Hooks(hooks), Sources(read_again, lambda: Hooks(source.hooks())), ends=ends)


def serve_app(app: str, settings: Mapping[str, object]) -> int:
    """Run the arbiter for a program that calls `pronghorn.run`; its exit status. StartError as with `serve`."""
    arguments, config, mistakes = given_by_program(app, settings)
    source = Source(arguments, addressed_to(os.getpid(), os.environ), Path.cwd(), config, mistakes)
    return serve(source, ends=False)


def _read(source: Source, *, starts: bool) -> tuple[Settings, tuple[Hook, ...]]:
    """The settings and the hooks; with files named from the directory the command was started in.

    Workers and reloads open logs later, when a preloaded application may have changed the current directory. And what
    settings are read from is watched like the files that they name.
    """
    loaded = source.load(starts=starts)
    logs, development = loaded.settings.logs, loaded.settings.development
    watched = [str(Path(glob.escape(str(source.cwd))) / pattern) for pattern in development.reload_extra_files]
    placed = msgspec.structs.replace(
        logs,
        errorlog=_placed(source.cwd, logs.errorlog),
        logconfig=logs.logconfig and _placed(source.cwd, logs.logconfig),
        logconfig_json=logs.logconfig_json and _placed(source.cwd, logs.logconfig_json),
        accesslog=logs.accesslog and _placed(source.cwd, logs.accesslog),
    )
    if development.reload:
        watched += [glob.escape(str(path)) for path in source.files()]
        development = msgspec.structs.replace(development, reload_extra_files=tuple(watched))
    return msgspec.structs.replace(loaded.settings, logs=placed, development=development), loaded.hooks


def _names_config(logs: LogOptions) -> bool:
    """Whether a class or a function of the Python file itself logs; like hooks they do not travel as data."""
    return f"{CONFIG}." in f"{logs.logger_class} {logs.logconfig_dict}"


def _placed(folder: Path, log: str) -> str:
    return log if log == STANDARD else str(folder / log)
