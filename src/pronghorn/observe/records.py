"""The lines of the error log, as text or as JSON, and the handler that writes lines to a `Sink`."""

import logging
import os
import re
import time

from pronghorn.observe import json_line
from pronghorn.observe.sink import Sink

NAME = "pronghorn.error"

FORMAT = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
CLOCK = "[%Y-%m-%d %H:%M:%S %z]"

# Rule 32: what a peer sent may stand in a message, so nothing in it may move the cursor or pass for a record of its
# own. Line feeds stay, because tracebacks have them; the bracket that begins a record is moved off the margin instead.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_FORGED_START = re.compile(r"\n(?=\[)")


class LineFormatter(logging.Formatter):
    """`[2026-11-20 22:37:02 +0000] [pid] [INFO] text`, the line that log readers of Gunicorn's know.

    With `ids` the id of the request that the thread runs stands before the text, in brackets too. Another `fmt` and
    `clock` make it another line.
    """

    def __init__(self, *, ids: bool = False, fmt: str = FORMAT, clock: str = CLOCK) -> None:
        super().__init__(fmt, clock)
        self._ids = ids

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without traceback."""
        request_id = json_line.current_request_id() if self._ids else None
        if request_id is not None:
            record.message = f"[{request_id}] {record.message}"
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without its last line feed, controls escaped."""
        return _FORGED_START.sub("\n ", super().format(record)).translate(CONTROLS)


class JsonFormatter(logging.Formatter):
    """A JSON object in one line: docs/logging.md has its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON without a line feed."""
        traces = [record.exc_text or self.formatException(record.exc_info)] if record.exc_info else []
        traces += [record.stack_info] if record.stack_info else []
        return json_record(record.levelname, record.getMessage(), "\n".join(traces) or None, at=record.created)


def json_record(level: str, message: str, exception: str | None = None, *, at: float | None = None) -> str:
    """A line of the error log as JSON; `at` is the wall clock in seconds, now where it is None."""
    at = time.time() if at is None else at
    return json_line.render({
        "time": f"{json_line.stamp_of(int(at)).decode()}.{int(at % 1 * 1000):03}Z",
        "level": level,
        "pid": os.getpid(),
        "request_id": json_line.current_request_id(),
        "message": message,
        "exception": exception,
    })  # fmt: skip


class SinkHandler(logging.Handler):
    """Writes records to a `Sink`; says how many were lost once it can write again."""

    def __init__(self, sink: Sink, formatter: logging.Formatter | None = None) -> None:
        super().__init__()
        self.sink = sink
        self.setFormatter(formatter or LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record. A record whose arguments do not fit its text is written with both shown apart."""
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001 - the text is the application's or a bug; a log call must not raise
            text = self.format(_unformatted(record, error))
        if self.sink.lost:
            self._report_loss()
        self.sink.write(f"{text}\n".encode(errors="backslashreplace"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's signature
        """Counts instead of printing a traceback to standard error, which is what this handler writes to."""
        self.sink.lost += 1

    def _report_loss(self) -> None:
        lost, reason = self.sink.taken_back()
        notice = loss_notice(lost, self.sink, reason)
        if not self.sink.write(f"{self.format(notice)}\n".encode(errors="backslashreplace")):
            # Not written, and itself counted as lost: only the real ones stay.
            self.sink.lost = lost


def loss_notice(lost: int, sink: Sink, reason: str) -> logging.LogRecord:
    """The record that says how many lines `sink` did not take, and why."""
    text = f"{lost} log line{'s were' if lost > 1 else ' was'} lost: {sink.name} could not be written ({reason})"
    return logging.LogRecord(NAME, logging.WARNING, __file__, 0, text, None, None)


def _unformatted(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    text = f"{record.msg!r} with {record.args!r} ({type(error).__name__}: {error})"
    return logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, text, None, None)
