"""What can be set about the application and the surroundings it is imported in."""

from typing import Annotated

from msgspec import Struct

from pronghorn.options.option import Option


def check_assignment(text: str) -> None:
    """ValueError unless `text` is `NAME=value`."""
    name, equals, _ = text.partition("=")
    if not name or not equals or "\0" in text:
        raise ValueError(f"{text!r} is not an assignment: write NAME=value")


class AppOptions(Struct, frozen=True, kw_only=True):
    """Which application, and how it is imported."""

    app: Annotated[
        str,
        Option(
            doc="The application: `module:attribute`, `module` (its `application`) or a factory call such as "
            '`"module:create_app()"`. On the command line it is the argument.',
            flags=("APP",),
            gunicorn="wsgi_app",
            default_text="none",
        ),
    ] = ""

    chdir: Annotated[
        str | None,
        Option(
            doc="Directory to change to before the application is imported; it is also put on the import path.",
            gunicorn="chdir",
            metavar="DIRECTORY",
            default_text="the current directory",
        ),
    ] = None

    pythonpath: Annotated[
        tuple[str, ...],
        Option(
            doc="Directories to put on the import path before the application is imported.",
            gunicorn="pythonpath",
            metavar="DIRECTORY,…",
        ),
    ] = ()

    preload_app: Annotated[
        bool,
        Option(
            doc="Import the application once in the parent process, before the workers are forked: they share its "
            "memory and start faster.",
            flags=("--preload",),
            gunicorn="preload_app",
        ),
    ] = False

    raw_env: Annotated[
        tuple[str, ...],
        Option(
            doc="Environment variables for the application, each `NAME=value`. May be given several times.",
            flags=("--env", "-e"),
            gunicorn="raw_env",
            metavar="NAME=VALUE",
            check=check_assignment,
            # A value may hold commas, and a variable that names variables has no use.
            separator=None,
            own_environment=False,
        ),
    ] = ()
