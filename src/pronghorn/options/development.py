"""What can be set for the time in which an application is written."""

from typing import Annotated

from msgspec import Struct

from pronghorn.options.option import Option

ENGINES = ("auto", "poll", "inotify")

READABLE = "dev"
"""The access log format that is written for people, see `observe/lines.pyx`."""


class DevelopmentOptions(Struct, frozen=True, kw_only=True):
    """Developing: reload on a change, errors in the browser. `pronghorn dev` is the short form."""

    reload: Annotated[
        bool,
        Option(
            doc="Reload when a file changes that the application has imported, that settings are read from, or that "
            "`reload_extra_files` names. An application that cannot be imported is answered for with its traceback, "
            "shown to clients on this machine only, until a file changes.",
            flags=("--reload",),
            gunicorn="reload",
        ),
    ] = False

    reload_engine: Annotated[
        str,
        Option(
            doc="How changes are noticed: `inotify` has the kernel tell (package watchfiles, "
            "`pip install 'pronghorn[reload]'`), `poll` looks at each file four times a second, `auto` is `inotify` "
            "where watchfiles is installed.",
            flags=("--reload-engine",),
            gunicorn="reload_engine",
            choices=ENGINES,
        ),
    ] = "auto"

    reload_extra_files: Annotated[
        tuple[str, ...],
        Option(
            doc="More files whose change reloads, such as templates: a path, a folder with all that is in it, or a "
            "pattern (`conf/*.toml`, `templates/**`). May be given several times.",
            flags=("--reload-extra-file",),
            gunicorn="reload_extra_files",
            metavar="PATTERN",
        ),
    ] = ()

    debug: Annotated[
        bool,
        Option(
            doc="Find the application as `flask run` does, and put Werkzeug's debugger around a Flask application, "
            "for clients on this machine. Refused where others can connect, except with `unsafe`.",
            flags=("--debug",),
        ),
    ] = False

    unsafe: Annotated[
        bool,
        Option(
            doc="Let `debug` listen on addresses that other machines can reach. The debugger still answers this "
            "machine only; the rest of development mode does not hide from anybody.",
            flags=("--unsafe",),
        ),
    ] = False
