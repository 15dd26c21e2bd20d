"""What an application finds as `wsgi.errors`: a text stream into the error log's target, line by line."""

import contextlib
import io
import sys
import threading
from collections.abc import Callable

from pronghorn.observe.sink import Sink


def flush_outputs() -> None:
    """Has what was printed to standard output and error leave this process, as far as anybody takes it.

    Before a fork, or each child prints it once more, and before an end that Python does not see (`os._exit`).
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


class ErrorStream(io.TextIOBase):
    """A text stream whose whole lines go to a `Sink`, so that it never waits and never fails (PEP 3333, "wsgi.errors").

    Text without a line feed is kept until its line is complete or `flush` is called, for each thread apart: two
    requests that print at the same time do not share lines.

    Arguments:
        render: makes one line for the log of a level and of what is written at once; None: it is the line itself.
    """

    def __init__(self, sink: Sink, render: Callable[[str, str], str] | None = None) -> None:
        super().__init__()
        self._sink = sink
        self._render = render
        self._partial = threading.local()

    def __repr__(self) -> str:
        return f"<ErrorStream to {self._sink!r}>"

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Takes `text`; returns its length. Raises TypeError for anything but a str."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        lines, feed, rest = (getattr(self._partial, "text", "") + text).rpartition("\n")
        self._partial.text = rest
        if feed:
            self._send(lines + feed)
        return len(text)

    def flush(self) -> None:
        """Writes what is left of an unfinished line, as a line."""
        rest = getattr(self._partial, "text", "")
        if rest:
            self._partial.text = ""
            self._send(rest + "\n")

    def _send(self, lines: str) -> None:
        if self._render is not None:
            lines = self._render("ERROR", lines.removesuffix("\n")) + "\n"
        self._sink.write(lines.encode(errors="backslashreplace"))
