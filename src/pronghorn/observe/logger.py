"""The logger in the shape of Gunicorn's: what hooks get as `server.log`, and what classes of the user's derive from.

`logger_class` names such a class. What people change is `access` (to leave out health checks), `atoms` (to add one) and
`setup` (to add a filter or set a formatter); all that is called here as Gunicorn calls it. Where nothing of the kind is
done, `observe.access.AccessLog` writes the access log and `access` is never called.
"""

import base64
import binascii
import contextlib
import logging
import os
import re
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pronghorn.errors import SettingsError
from pronghorn.observe import logconfig, metrics
from pronghorn.observe.json_line import current_request_id
from pronghorn.observe.records import CLOCK, FORMAT, JsonFormatter, LineFormatter, SinkHandler
from pronghorn.observe.sink import Sink, give_file
from pronghorn.observe.syslog import SyslogHandler

# As the access log that is written natively has it (observe/access.pyx).
_SPECIAL = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class Atoms(dict[str, Any]):
    """The atoms of one line: texts cannot leave their quotes or their line, and what is not there is a dash."""

    def __init__(self, atoms: Mapping[str, Any]) -> None:
        super().__init__({
            name: _SPECIAL.sub(_escape, value) if isinstance(value, str) else value for name, value in atoms.items()
        })  # fmt: skip

    def __getitem__(self, name: str) -> Any:
        return self.get(name.lower() if name.startswith("{") else name, "-")


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    if letter == '"':
        return '\\"'
    octets = letter.encode("latin-1") if letter <= "\xff" else letter.encode(errors="backslashreplace")
    return "".join(f"\\x{octet:02x}" for octet in octets)


class RequestId(logging.Filter):
    """Gives each record `request_id`, the id of the request it was made in or a dash; for handlers of a logconfig."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        record.request_id = current_request_id() or "-"
        return True


class Logger:
    """Both logs. `cfg` has the settings as attributes, under Gunicorn's names."""

    LOG_LEVELS: ClassVar[dict[str, int]] = {
        "critical": logging.CRITICAL,
        "error": logging.ERROR,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
    }

    error_fmt = FORMAT
    datefmt = CLOCK
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    atoms_wrapper_class: type[Any] = Atoms

    def __init__(self, cfg: Any) -> None:
        logconfig.join_names()
        self.cfg = cfg
        self.error_log = logging.getLogger("pronghorn.error")
        self.access_log = logging.getLogger("pronghorn.access")
        self.loglevel = logging.INFO
        self.setup(cfg)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.error_log.handlers}>"

    def setup(self, cfg: Any) -> None:
        """Opens what the settings name; called again with the new ones after a reload. SettingsError if it cannot."""
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        # All is opened before anything is dropped: where that fails, the logs go on as they were.
        errors = [*sink_handlers("errorlog", cfg.errorlog, 2, self._error_formatter()), *self._syslog("error")]
        lines = [*sink_handlers("accesslog", cfg.accesslog, 1, logging.Formatter(self.access_fmt))]
        if not cfg.disable_redirect_access_to_syslog:
            lines += self._syslog("access")
        replace_handlers(self.error_log, errors)
        replace_handlers(self.access_log, lines)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        logconfig.apply(cfg)

    def _error_formatter(self) -> logging.Formatter:
        if self.cfg.log_format == "json" and self.error_fmt == FORMAT:
            return JsonFormatter()
        return LineFormatter(ids=self.cfg.request_id, fmt=self.error_fmt, clock=self.datefmt)

    def _syslog(self, name: str) -> list[logging.Handler]:
        cfg = self.cfg
        if not cfg.syslog:
            return []
        handler = SyslogHandler(cfg.syslog_addr, cfg.syslog_facility)
        prefix = (cfg.syslog_prefix or getattr(cfg, "proc_name", None) or "pronghorn").replace(":", ".")
        handler.setFormatter(LineFormatter(fmt=f"gunicorn.{prefix.replace('%', '%%')}.{name}: {self.syslog_fmt}"))
        return [handler]

    # The error log

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """As of a `logging.Logger`."""
        self.error_log.critical(msg, *args, **_from_caller(kwargs))

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """As of a `logging.Logger`."""
        self.error_log.error(msg, *args, **_from_caller(kwargs))

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """As of a `logging.Logger`."""
        self.error_log.warning(msg, *args, **_from_caller(kwargs))

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """As of a `logging.Logger`; see `log`."""
        self.log(logging.INFO, msg, *args, **_from_caller(kwargs))

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """As of a `logging.Logger`; see `log`."""
        self.log(logging.DEBUG, msg, *args, **_from_caller(kwargs))

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """As of a `logging.Logger`, for use in an `except` block."""
        self.error_log.exception(msg, *args, **_from_caller(kwargs))

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """As of a `logging.Logger`; `lvl` may be a word.

        With `extra={"metric": …, "value": …, "mtype": …}` the statsd server is told as well, whatever the level that
        is logged, and with an empty `msg` only it.
        """
        extra = kwargs.get("extra") or {}
        metrics.measure(extra.get("metric"), extra.get("value"), extra.get("mtype"))
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        if msg:
            self.error_log.log(lvl, msg, *args, **_from_caller(kwargs))

    # The access log

    @property
    def access_log_enabled(self) -> bool:
        """Whether a setting asks for an access log."""
        cfg = self.cfg
        syslog = cfg.syslog and not cfg.disable_redirect_access_to_syslog
        return bool(cfg.accesslog or syslog or logconfig.given(cfg))

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """A request has been answered; `request_time` is how long that took."""
        if not self.access_log_enabled:
            return
        atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
        try:
            self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:  # noqa: BLE001 - a handler of the user's
            self.exception("A request could not be written to the access log")

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        """What `access_log_format` may name, by its name: `h`, `{user-agent}i`."""
        microseconds = request_time // timedelta(microseconds=1)
        sent = getattr(resp, "sent", None)
        atoms = {
            "h": environ.get("REMOTE_ADDR") or "-",
            "l": "-",
            "u": self._get_user(environ) or "-",
            "t": self.now(),
            "r": " ".join(str(environ.get(name, "-")) for name in ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL")),
            "s": str(resp.status).split(" ", maxsplit=1)[0],
            "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"),
            "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"),
            "b": "-" if sent is None else str(sent),
            "B": sent,
            "f": environ.get("HTTP_REFERER", "-"),
            "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": microseconds // 1_000_000,
            "D": microseconds,
            "M": microseconds // 1000,
            "L": f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}",
            "p": f"<{os.getpid()}>",
        }
        atoms |= {f"{{{name.lower()}}}i": value for name, value in _pairs(getattr(req, "headers", req))}
        atoms |= {f"{{{name.lower()}}}o": value for name, value in _pairs(resp.headers)}
        atoms |= {f"{{{name.lower()}}}e": value for name, value in environ.items()}
        return atoms

    def now(self) -> str:
        """The local time, as the atom `t` has it."""
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def _get_user(self, environ: dict[str, Any]) -> str | None:
        """Whom Basic Authorization names (RFC 7617); nobody has checked the password."""
        scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            return base64.b64decode(credentials.strip()).partition(b":")[0].decode()
        except (binascii.Error, ValueError):
            return None

    # Files

    def reopen_files(self) -> None:
        """Opens log files anew, as USR1 asks after logrotate: these, and those of every other logger's FileHandlers."""
        for handler in all_handlers():
            try:
                _reopen(handler)
            except OSError as error:
                reason = error.strerror or str(error)
                self.error_log.error("%s cannot be opened anew: %s", name_of(handler), reason)

    def close_on_exec(self) -> None:
        """Nothing has to be done: files that Python opens are closed by exec."""


def is_plain(logger: Any) -> bool:
    """Whether the access log is what the settings say and nothing more: then no line has to pass through `access`."""
    if not isinstance(logger, Logger):
        return False
    changed = any(getattr(type(logger), name) is not getattr(Logger, name) for name in PARTS)
    if changed or not set(PARTS).isdisjoint(vars(logger)):
        return False
    log = logger.access_log
    own = type(log) is logging.Logger and not log.filters and not log.disabled and log.level == logging.INFO
    return own and not log.propagate and all(_is_untouched(handler) for handler in log.handlers)


PARTS = ("access", "atoms", "now", "access_log_enabled", "access_fmt", "atoms_wrapper_class", "_get_user")
"""What makes a line; one that is another than ours has to be asked for each."""


def _is_untouched(handler: logging.Handler) -> bool:
    return (
        type(handler) is SinkHandler
        and type(handler.formatter) is logging.Formatter
        and handler.formatter._fmt == Logger.access_fmt  # noqa: SLF001 - there is no public name for it
        and not handler.filters
        and handler.level == logging.NOTSET
    )


def sink_handlers(
    setting: str, output: str | None, standard: int, formatter: logging.Formatter
) -> list[logging.Handler]:
    """The handler for what a setting names, if it names anything. SettingsError if that cannot be opened."""
    if output is None:
        return []
    try:
        return [SinkHandler(Sink(output, standard), formatter)]
    except OSError as error:
        stream = "output" if standard == 1 else "error"
        raise SettingsError(
            f"{setting}: {output!r} cannot be opened for writing ({error.strerror}); "
            f"name a file this user may write, or - for standard {stream}"
        ) from error


def replace_handlers(log: logging.Logger, handlers: Iterable[logging.Handler]) -> None:
    """Gives the logger these in the place of those of ours that it has; others, of whoever added them, stay."""
    for old in [handler for handler in log.handlers if isinstance(handler, SinkHandler | SyslogHandler)]:
        log.removeHandler(old)
        old.close()
        if isinstance(old, SinkHandler):
            # Not by its `close`: each dictConfig of an application's calls that, and the handler stays.
            old.sink.close()
    for handler in handlers:
        log.addHandler(handler)
    log.propagate = False


def all_handlers() -> list[logging.Handler]:
    """Those of every logger of this process, each once."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    found = [handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers]
    return list(dict.fromkeys(found))


def _reopen(handler: logging.Handler) -> None:
    if isinstance(handler, SinkHandler):
        handler.sink.reopen()
    elif isinstance(handler, logging.FileHandler) and handler.stream is not None:
        with handler.lock or contextlib.nullcontext():
            fresh = handler._open()  # noqa: SLF001 - what a rotation calls
            old, handler.stream = handler.stream, fresh
            old.close()


def give(handler: logging.Handler, uid: int, gid: int) -> None:
    """Makes its log file, if it has one, the user's own, who will open it anew. OSError if that cannot be done."""
    if isinstance(handler, SinkHandler):
        handler.sink.give_to(uid, gid)
    elif isinstance(handler, logging.FileHandler) and handler.stream is not None:
        give_file(handler.baseFilename, handler.stream.fileno(), uid, gid)


def name_of(handler: logging.Handler) -> str:
    """How log lines call it."""
    if isinstance(handler, SinkHandler):
        return f"log {handler.sink.name}"
    return f"log {handler.baseFilename}" if isinstance(handler, logging.FileHandler) else repr(handler)


def _pairs(headers: Any) -> Iterable[tuple[str, Any]]:
    pairs: Iterable[tuple[str, Any]] = headers.items() if hasattr(headers, "items") else headers
    return pairs


def _from_caller(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The place that a record names is the caller's."""
    return kwargs | {"stacklevel": kwargs.get("stacklevel", 1) + 1}
