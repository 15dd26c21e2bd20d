"""The logs of this process: made from the settings, opened anew, given to another user, and what else writes there.

The logger itself is `observe.logger.Logger`, or the class that the setting `logger_class` names.
"""

import contextlib
import faulthandler
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from pronghorn.errors import SettingsError, StartError
from pronghorn.observe import logconfig, metrics
from pronghorn.observe.logger import Logger, all_handlers, give, name_of
from pronghorn.observe.records import NAME, SinkHandler, json_record
from pronghorn.observe.sink import STANDARD, Sink
from pronghorn.observe.stream import ErrorStream, flush_outputs
from pronghorn.options.logs import OWN_LOGGER, LogOptions

__all__ = ["NAME", "SinkHandler"]

NEEDS_GUNICORN = (
    "; it is made from Gunicorn's: install gunicorn beside (it is then imported and never run), or begin with "
    f"{OWN_LOGGER}, which has the same methods"
)

log = logging.getLogger(NAME)


class _Process:
    """The logs of this process."""

    logger: Any = None
    options: LogOptions | None = None
    sink: Sink | None = None
    """The error log's target, for what is no record: `wsgi.errors`, stacks, what is printed."""
    outputs: tuple[int, int] | None = None
    """Standard output and error as they were before they were captured."""


_process = _Process()


def setup(options: LogOptions, cfg: Any = None, *, anew: bool = True) -> None:
    """Opens the logs.

    Arguments:
        cfg: all settings in Gunicorn's shape; `options` where a logger needs no others.
        anew: also if they are open with the same settings, as a fork inherits them.

    Raises:
        SettingsError: something cannot be opened, or the logger cannot be made.
    """
    cfg = options if cfg is None else cfg
    with _import_path(cfg):
        wanted = _find_class(options.logger_class)
        if not anew and _process.options == options and type(_process.logger) is wanted:
            return
        sink = _open(options)
        old, _process.sink = _process.sink, sink
        _capture(options, sink)
        if old is not None:
            old.close()
        logconfig.join_names()
        _process.logger = _made(wanted, options, cfg)
    _process.options = options
    log.handle = partial(_handle, log)  # type: ignore[method-assign]
    metrics.setup(options)


def logger() -> Any:
    """The logger: `server.log` in hooks. `setup` comes first."""
    if _process.logger is None:
        raise RuntimeError("the logs are not set up: call pronghorn.observe.log.setup first")
    return _process.logger


def _open(options: LogOptions) -> Sink:
    try:
        return Sink(options.errorlog, 2)
    except OSError as error:
        raise SettingsError(
            f"errorlog: {options.errorlog!r} cannot be opened for writing ({error.strerror}); "
            "name a file this user may write, or - for standard error"
        ) from error


@contextlib.contextmanager
def _import_path(cfg: Any) -> Iterator[None]:
    """What settings name is found where the application will be."""
    more = [getattr(cfg, "chdir", None) or str(os.getcwd()), *(getattr(cfg, "pythonpath", None) or ())]  # noqa: PTH109
    before = list(sys.path)
    sys.path[:0] = [folder for folder in more if folder not in before]
    try:
        yield
    finally:
        sys.path[:] = [*[folder for folder in sys.path if folder in before or folder not in more]]


def _find_class(name: str) -> type[Any]:
    module, _, attribute = name.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    # What is imported is somebody's program and may raise anything.
    except Exception as error:
        needs = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "gunicorn"
        said = f"logger_class: {name!r} cannot be imported: {type(error).__name__}: {error}"
        raise SettingsError(said + NEEDS_GUNICORN * needs) from error
    if not isinstance(found, type):
        raise SettingsError(f"logger_class: {name!r} is no class")
    return found


def _made(wanted: type[Any], options: LogOptions, cfg: Any) -> Any:
    """The logger of that class, with the new settings; the one that there is, if it is of the class."""
    if type(_process.logger) is wanted:
        _process.logger.setup(cfg)
        return _process.logger
    before = {one: list(one.handlers) for one in _loggers()}
    for one, handlers in before.items():
        if not isinstance(_process.logger, Logger | None):
            one.handlers[:] = []  # A class that is not ours leaves handlers of its own behind.
        elif not issubclass(wanted, Logger):
            one.handlers[:] = [handler for handler in handlers if not isinstance(handler, SinkHandler)]
    try:
        return wanted(cfg)
    # It is somebody's program and may raise anything.
    except Exception as error:
        for one, handlers in before.items():
            one.handlers[:] = handlers
        if isinstance(error, StartError):
            raise
        raise SettingsError(f"logger_class: {options.logger_class!r} raised {type(error).__name__}: {error}") from error


def _loggers() -> tuple[logging.Logger, logging.Logger]:
    return log, logging.getLogger("pronghorn.access")


def _handle(one: logging.Logger, record: logging.LogRecord) -> None:
    """A handler or a filter of the user's that raises breaks nothing that logs."""
    try:
        logging.Logger.handle(one, record)
    except Exception as error:  # noqa: BLE001 - as it says
        said = f"{record.msg!s:.500} {record.args!r:.500}" if record.args else f"{record.msg!s:.500}"
        text = f"a log handler raised {type(error).__name__}: {error}; the record was: {said}"
        notice = logging.LogRecord(NAME, logging.ERROR, __file__, 0, text, None, None)
        if _process.sink is not None:
            SinkHandler(_process.sink).handle(notice)


def _capture(options: LogOptions, sink: Sink) -> None:
    """Points standard output and error at the error log's file, or back where they were."""
    wanted = options.capture_output and options.errorlog != STANDARD
    if not wanted and _process.outputs is None:
        return
    if _process.outputs is None:
        _process.outputs = os.dup(1), os.dup(2)
    flush_outputs()
    targets = (sink.fileno(), sink.fileno()) if wanted else _process.outputs
    for number, target in zip((1, 2), targets, strict=True):
        os.dup2(target, number)


def reopen() -> None:
    """Opens the log files anew, as USR1 asks after logrotate; says so in the old ones when that fails."""
    options, sink = _process.options, _process.sink
    if options is None or sink is None:
        return
    try:
        sink.reopen()
        _capture(options, sink)
    except OSError as error:
        log.error("error log %s cannot be opened anew: %s", sink.name, error.strerror or error)  # noqa: TRY400
    try:
        _process.logger.reopen_files()
    except Exception:
        log.exception("The logger's reopen_files failed")
    if faulthandler.is_enabled():
        dump_stacks_here()


def dump_stacks_here() -> None:
    """Has ABRT (from the arbiter, to a hung worker), SEGV and the like leave all threads' stacks in the error log.

    The dump is written by the signal handler itself, so no thread needs the interpreter lock for it.
    """
    if _process.sink is not None:
        faulthandler.enable(_process.sink.fileno(), all_threads=True)


def give_to(uid: int, gid: int) -> None:
    """Makes the log files the user's own; says so if that cannot be done."""
    # What is printed goes there also where a logger of the user's has no such handler.
    own = [] if _process.sink is None else [SinkHandler(_process.sink)]
    for handler in [*all_handlers(), *own]:
        try:
            give(handler, uid, gid)
        except OSError as error:
            reason = error.strerror or str(error)
            log.error("%s cannot be given to user %d: %s", name_of(handler), uid, reason)  # noqa: TRY400


def error_stream() -> ErrorStream:
    """The object for `wsgi.errors`: text written to it goes to the error log's target. `setup` comes first."""
    options, sink = _process.options, _process.sink
    if options is None or sink is None:
        raise RuntimeError("the error log is not set up: call pronghorn.observe.log.setup first")
    return ErrorStream(sink, json_record if options.log_format == "json" else None)
