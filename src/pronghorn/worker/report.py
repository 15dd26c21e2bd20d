"""What a worker tells the arbiter through its pipe: one line of JSON for each message."""

import os
from collections.abc import Iterator

import msgspec


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Connections are accepted."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker cannot serve and ends; `why` is one line."""

    why: str


class Tired(msgspec.Struct, frozen=True, tag="tired"):
    """The worker serves on, but wants to be replaced."""

    why: str


Report = Ready | Failed | Tired

# A write up to PIPE_BUF (4096) bytes is never torn, and a line that is longer helps nobody.
LONGEST_WHY = 1000

_decoder: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def send(pipe: int, report: Report) -> None:
    """Writes one report. An arbiter that is gone is not an error here: the leash tells of it."""
    if isinstance(report, Failed | Tired):
        report = type(report)(report.why[:LONGEST_WHY])
    try:
        os.write(pipe, msgspec.json.encode(report) + b"\n")
    except BrokenPipeError:
        return


class Reader:
    """Puts the pieces read from one worker's pipe together to reports."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Report]:
        """The reports that `data` completes. msgspec.DecodeError if it is not from one of our workers."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield _decoder.decode(line)
