"""Werkzeug's debugger around a Flask application, for clients on this machine."""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from pronghorn.dev.local import is_local

Application = Callable[..., Iterable[bytes]]

TRUSTED_HOSTS = ["localhost", ".localhost", "127.0.0.1", "[::1]"]
"""Hosts under which the debugger runs what it is told to."""

log = logging.getLogger("pronghorn.error")


def is_flask(app: object) -> bool:
    """Whether it is a Flask application; it has then imported Flask."""
    flask = sys.modules.get("flask")
    return flask is not None and isinstance(app, flask.Flask)


def wants_debugger(app: Any) -> bool:
    """Sets the application's debug mode as `flask run` does, by FLASK_DEBUG, which is on unless it is turned off."""
    app.debug = os.environ.get("FLASK_DEBUG", "1").lower() not in ("", "0", "false", "no", "n", "f")
    return bool(app.debug)


class Debugged:
    """A Flask application with the debugger for whoever sits at this machine, and without it for everybody else."""

    def __init__(self, app: Any) -> None:
        from werkzeug.debug import DebuggedApplication  # noqa: PLC0415 - Flask brings it

        self._app: Application = app
        self._debugged = DebuggedApplication(app, evalex=True)
        self._debugged.trusted_hosts = TRUSTED_HOSTS
        pin = self._debugged.pin
        log.info("debugger: %s", f"its PIN is {pin}" if pin else "no PIN is asked for (WERKZEUG_DEBUG_PIN)")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        app: Application = self._debugged if is_local(environ) else self._app
        return app(environ, start_response)
