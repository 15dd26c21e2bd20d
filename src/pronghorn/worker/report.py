"""What a worker tells the arbiter through its pipe: one line of JSON for each message."""

import logging
import os
from collections.abc import Iterator

import msgspec


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Connections are accepted."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker cannot serve and ends; `why` is one line, `trace` the traceback of the application's own code.

    The arbiter writes both to the log: workers that boot together fail together, and one traceback is enough.
    """

    why: str
    trace: str = ""


class Tired(msgspec.Struct, frozen=True, tag="tired"):
    """The worker serves on, but wants to be replaced."""

    why: str


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """Files are not what the worker has imported any more; `state` names what they are like now."""

    files: list[str]
    state: str


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The application cannot be imported, and the worker serves a page that says so; as in Failed."""

    why: str
    trace: str = ""


Report = Ready | Failed | Tired | Changed | Broken

LONGEST_WHY = 1000
"""Characters of a reason."""

LONGEST_TRACE = 8000
"""Characters of a traceback, its end: together with the reason below the 64 KiB that a pipe holds, however escaped."""

log = logging.getLogger("pronghorn.error")

_decoder: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def send(pipe: int, report: Report) -> None:
    """Writes one report. An arbiter that is gone is not an error here: the leash tells of it."""
    if isinstance(report, Failed | Broken):
        report = type(report)(report.why[:LONGEST_WHY], report.trace[-LONGEST_TRACE:])
    try:
        os.write(pipe, msgspec.json.encode(report) + b"\n")
    except BrokenPipeError:
        return


class Reader:
    """Puts the pieces read from one worker's pipe together to reports."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Report]:
        """The reports that `data` completes. What the application wrote to the descriptor by mistake is left out."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                yield _decoder.decode(line)
            except msgspec.DecodeError:
                log.warning("a worker's pipe to the arbiter holds what no worker says: %.80r", line)
