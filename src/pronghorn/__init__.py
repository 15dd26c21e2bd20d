"""Pronghorn: an HTTP server for Python web applications that needs nothing in front."""

TYPE_CHECKING = False  # as type checkers know it; importing typing would cost more than all the rest
if TYPE_CHECKING:
    from pronghorn.apps.current import Deadline

__all__ = ["__version__", "disconnected", "run", "timeout"]

__version__ = "0.1.0"


def run(app: str, **settings: object) -> int:
    """Serve `app` as the command `pronghorn` does, until a signal stops the server; returns the exit status.

    `app` is written as on the command line (`"module:attribute"`). The other settings go by their names in
    docs/settings.md (`workers=2, bind="127.0.0.1:8000", timeout="30s"`), hooks by theirs in docs/hooks.md
    (`post_fork=connect`), and `config` names a file. They win over the
    environment and over configuration files, which are read as well. Must be called in the main thread, as it
    installs signal handlers.

    Raises errors.SettingsError with one line for each setting that is unknown or wrong, errors.AppLoadError and
    errors.ListenError as the command would report them.
    """
    # Whoever imports pronghorn for its version or its errors does not pay for a server.
    from pronghorn.cli.serve import serve_app  # noqa: PLC0415

    return serve_app(app, settings)


def timeout(seconds: float) -> "Deadline":
    """Give the request that this thread runs `seconds` from now on, instead of the setting `timeout`; 0: no limit.

    Called in an application, as a function for the rest of the request or as a context manager for a block. Each part
    of the response that is sent starts the time anew.

        with pronghorn.timeout(300):
            report = compute_report()

    Raises ValueError for a number below 0 or above a year, and RuntimeError outside of a request.
    """
    from pronghorn.apps.current import set_timeout  # noqa: PLC0415

    return set_timeout(seconds)


def disconnected() -> bool:
    """Whether the client of the request that this thread runs has gone, so that nobody waits for the answer.

    Called in an application that works for long: it may stop then. A client that has closed its sending half only looks
    the same as one that has closed. Raises RuntimeError outside of a request.
    """
    from pronghorn.apps.current import disconnected as ask  # noqa: PLC0415

    return ask()
