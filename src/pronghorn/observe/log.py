"""The error log: a logger whose lines look like Gunicorn's and which can neither stop nor break the server."""

import faulthandler
import logging
import os
import re
import time

from pronghorn.errors import SettingsError
from pronghorn.observe import json_line, metrics
from pronghorn.observe.sink import Sink
from pronghorn.observe.stream import ErrorStream
from pronghorn.options.logs import LogOptions

NAME = "pronghorn.error"

START = "[%(asctime)s] [%(process)d] [%(levelname)s]"

# Rule 32: what a peer sent may stand in a message, so nothing in it may move the cursor or pass for a record of its
# own. Line feeds stay, because tracebacks have them; the bracket that begins a record is moved off the margin instead.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_FORGED_START = re.compile(r"\n(?=\[)")


class LineFormatter(logging.Formatter):
    """`[2026-11-20 22:37:02 +0000] [pid] [INFO] text`, the line that log readers of Gunicorn's know.

    With `ids` the id of the request that the thread runs stands before the text, in brackets too.
    """

    def __init__(self, *, ids: bool = False) -> None:
        super().__init__(f"{START} %(message)s", "%Y-%m-%d %H:%M:%S %z")
        self._ids = ids

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without traceback."""
        request_id = json_line.current_request_id() if self._ids else None
        text = super().formatMessage(record)
        if request_id is None:
            return text
        start = f"{START} " % vars(record)
        return f"{start}[{request_id}] {text.removeprefix(start)}"

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without its last line feed, controls escaped."""
        return _FORGED_START.sub("\n ", super().format(record)).translate(_CONTROLS)


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


def setup(options: LogOptions) -> None:
    """Points the loggers `pronghorn.error` and below it at `options.errorlog`.

    Raises SettingsError if that cannot be opened. It can be called again; the handler of the call before is closed.
    """
    try:
        sink = Sink(options.errorlog, 2)
    except OSError as error:
        raise SettingsError(
            f"errorlog: {options.errorlog!r} cannot be opened for writing ({error.strerror}); "
            "name a file this user may write, or - for standard error"
        ) from error
    logger = logging.getLogger(NAME)
    for handler in [handler for handler in logger.handlers if isinstance(handler, SinkHandler)]:
        logger.removeHandler(handler)
        handler.sink.close()
    formatter = JsonFormatter() if options.log_format == "json" else LineFormatter(ids=options.request_id)
    logger.addHandler(SinkHandler(sink, formatter))
    logger.setLevel(options.loglevel.upper())
    logger.propagate = False
    metrics.setup(options)


def reopen() -> None:
    """Opens the error log anew, as USR1 asks after logrotate; says so in the old one when that fails."""
    for sink in _sinks():
        try:
            sink.reopen()
        except OSError as error:
            reason = error.strerror or str(error)
            logging.getLogger(NAME).error("error log %s cannot be opened anew: %s", sink.name, reason)  # noqa: TRY400
    if faulthandler.is_enabled():
        dump_stacks_here()


def dump_stacks_here() -> None:
    """Has ABRT (from the arbiter, to a hung worker), SEGV and the like leave all threads' stacks in the error log.

    The dump is written by the signal handler itself, so no thread needs the interpreter lock for it.
    """
    for sink in _sinks():
        faulthandler.enable(sink.fileno(), all_threads=True)


def give_to(uid: int, gid: int) -> None:
    """Makes the log file the user's own; says so if that cannot be done."""
    for sink in _sinks():
        try:
            sink.give_to(uid, gid)
        except OSError as error:
            reason = error.strerror or str(error)
            logging.getLogger(NAME).error("error log %s cannot be given to user %d: %s", sink.name, uid, reason)  # noqa: TRY400


def error_stream() -> ErrorStream:
    """The object for `wsgi.errors`: text written to it goes to the error log's target. `setup` comes first."""
    for handler in logging.getLogger(NAME).handlers:
        if isinstance(handler, SinkHandler):
            return ErrorStream(handler.sink, json_record if isinstance(handler.formatter, JsonFormatter) else None)
    raise RuntimeError("the error log is not set up: call pronghorn.observe.log.setup first")


def _sinks() -> list[Sink]:
    return [handler.sink for handler in logging.getLogger(NAME).handlers if isinstance(handler, SinkHandler)]
