"""The tree of errors: everything this package raises on purpose.

    PronghornError
    ├── StartError            the command cannot go on; `exit_status` says how it ends
    │   ├── ListenError       an address cannot be bound or listened on            exit status 1
    │   ├── NotReadyError     the application does not answer `ready_path` well    exit status 1
    │   ├── SettingsError     settings are unknown, malformed or contradictory     exit status 2
    │   ├── AppLoadError      the application cannot be found, imported or called  exit status 3
    │   └── HookError         a hook of the configuration has raised               exit status 3
    ├── PeerError             a peer broke the protocol; carries the response it gets
    └── RequestTimeout        raised inside an application call that is past its deadline

A room translates what its libraries raise into these at its boundary, so that a caller never needs to know which
library a room uses.
"""

from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "AppLoadError",
    "HookError",
    "ListenError",
    "NotReadyError",
    "PeerError",
    "PronghornError",
    "RequestTimeout",
    "SettingsError",
    "StartError",
]


class PronghornError(Exception):
    """The root: `except PronghornError` catches what this package raises on purpose and nothing else."""


class StartError(PronghornError):
    """The server cannot start, and the reason is one the user can remove.

    Its message is shown to the user as it is: it names the thing, where it came from, and the remedy. `trace` is a
    traceback as text, where code of the user's raised; else empty.
    """

    exit_status: ClassVar[int] = 1
    trace: str = ""


class ListenError(StartError):
    """An address cannot be bound or listened on: in use, not permitted, not ours."""

    exit_status = 1


class NotReadyError(StartError):
    """The application was asked for `ready_path` until `boot_timeout` had nearly passed, and never said yes.

    Another attempt may do better (a database that is still starting), so the arbiter forks again.
    """

    exit_status = 1


class SettingsError(StartError):
    """One or more settings are unknown, malformed or contradict each other.

    `problems` holds one line for each, with its origin; all are reported at once, because a user who repairs a
    configuration one message at a time restarts the server once for every mistake. A problem names what the file or
    the environment holds, which may be anything: what does not print is escaped, so that it stays one line and gives
    the terminal no orders. `warnings` are the lines that would be shown if there were no problem.
    """

    exit_status = 2

    def __init__(self, *problems: str, warnings: Iterable[str] = ()) -> None:
        self.problems = tuple(_printable(problem) for problem in problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(self.problems))


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


class AppLoadError(StartError):
    """The application cannot be found, imported or called.

    `trace` is the traceback of the application's own import as text, or empty where the message says it all
    (no such module, no such attribute, not callable).
    """

    exit_status = 3

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class HookError(StartError):
    """A hook of the configuration has raised; `trace` is its traceback."""

    exit_status = 3

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message)
        self.trace = trace


class PeerError(PronghornError):
    """A peer sent what the protocol or a limit forbids. The connection gets one response and is closed.

    `status` and `reason` make the response's status line; `detail` is for the debug log and for the developer of a
    client, and never holds bytes the peer sent (they could forge a log line).
    """

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(status, reason, detail)
        self.status = status
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.status} {self.reason}: {self.detail}"


class RequestTimeout(PronghornError):
    """Raised in the application's thread when its request is older than the `timeout` setting."""
