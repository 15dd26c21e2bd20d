"""The exit statuses of the command and of its workers, as docs/exit-statuses.md lists them."""

from enum import IntEnum


class Exit(IntEnum):
    """Why a process of the server ended.

    A supervisor reads them: 0 needs no restart, 1 and 2 will not be cured by one, 3 and 4 point at the application.
    """

    OK = 0
    """Stopped because somebody asked for it."""

    START = 1
    """Could not start: port in use, permission denied, another arbiter holds the pidfile."""

    USAGE = 2
    """Wrong settings or a wrong command line."""

    APPLICATION = 3
    """The application cannot be loaded: missing, not callable, or its import raised. Or a hook raised."""

    BOOT = 4
    """Workers kept dying before one of them was ever ready."""
