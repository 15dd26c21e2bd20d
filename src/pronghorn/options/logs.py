"""What can be set about the error log, the access log, and what else is told about requests."""

import re
from typing import Annotated, Any

from msgspec import Struct, field

from pronghorn.options.log_targets import FACILITIES, check_statsd, check_syslog
from pronghorn.options.option import Option

LEVELS = ("debug", "info", "warning", "error", "critical")

OWN_LOGGER = "pronghorn.observe.logger.Logger"

GUNICORNS_LOGGERS = dict.fromkeys(
    ("simple", "egg:gunicorn#simple", "gunicorn.glogging.logger", "gunicorn.instrument.statsd.statsd"), OWN_LOGGER
)
"""Gunicorn's own loggers, as its files may name them: ours does what they do."""

_CLASS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*[.:][^\W\d]\w*")
NOT_AN_ID = (
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "proxy",
)
"""Headers that mean something else, to the server or to every application."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")


def check_class(text: str) -> None:
    """ValueError unless `text` names a class in a module."""
    if not _CLASS.fullmatch(text):
        raise ValueError(f"{text!r} is not a class: write module.Class, as in shop.logs.Logger")


def check_header(text: str) -> None:
    """ValueError unless `text` is a header name that reaches applications: a token without an underscore."""
    if not _HEADER.fullmatch(text) or text.lower() in NOT_AN_ID:
        raise ValueError(
            f"{text!r} cannot be the header of an id: write a name without underscores, such as X-Request-ID"
        )


class LogOptions(Struct, frozen=True, kw_only=True):
    """Where the logs go and what stands in them."""

    errorlog: Annotated[
        str,
        Option(
            doc="File of the error log; `-` is standard error. USR1 opens it anew.",
            flags=("--error-logfile", "--log-file"),
            gunicorn="errorlog",
            metavar="FILE",
        ),
    ] = "-"

    loglevel: Annotated[
        str,
        Option(
            doc="Least severe message that goes to the error log.",
            flags=("--log-level",),
            gunicorn="loglevel",
            choices=LEVELS,
        ),
    ] = "info"

    accesslog: Annotated[
        str | None,
        Option(
            doc="File of the access log; `-` is standard output. USR1 opens it anew.",
            flags=("--access-logfile",),
            gunicorn="accesslog",
            metavar="FILE",
            default_text="none: no access log",
        ),
    ] = None

    access_log_format: Annotated[
        str,
        Option(
            doc="Format of an access log line, in Gunicorn's atoms; or `dev`: readable lines, coloured on a terminal.",
            flags=("--access-logformat",),
            gunicorn="access_log_format",
            metavar="FORMAT",
        ),
    ] = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

    log_format: Annotated[
        str,
        Option(
            doc="`json`: each line of both logs is a JSON object; its fields stand in [logging.md](logging.md).",
            choices=("text", "json"),
        ),
    ] = "text"

    request_id: Annotated[
        bool,
        Option(
            doc="Give every request an id: the one that a trusted proxy sent in `request_id_header`, or a new one. It "
            "is in the environ (`pronghorn.request_id` and the header), in the response and in both logs.",
        ),
    ] = False

    request_id_header: Annotated[
        str,
        Option(
            doc="The header that holds a request's id.",
            metavar="NAME",
            check=check_header,
        ),
    ] = "X-Request-ID"

    capture_output: Annotated[
        bool,
        Option(
            doc="Send what the application writes to standard output and standard error to the file of the error log.",
            gunicorn="capture_output",
        ),
    ] = False

    logger_class: Annotated[
        str,
        Option(
            doc="A class of yours in the place of the server's logger: one derived from it, or from Gunicorn's. Each "
            "request then costs a call of its `access`.",
            gunicorn="logger_class",
            metavar="CLASS",
            aliases=GUNICORNS_LOGGERS,
            check=check_class,
        ),
    ] = OWN_LOGGER

    logconfig: Annotated[
        str | None,
        Option(
            doc="A configuration file (INI) of Python's `logging`, for the loggers `gunicorn.error` and "
            "`gunicorn.access`.",
            flags=("--log-config",),
            gunicorn="logconfig",
            metavar="FILE",
            default_text="none",
        ),
    ] = None

    logconfig_dict: Annotated[
        dict[str, Any],
        Option(
            doc="The same as a table, in the form of `logging.config.dictConfig`; it is taken before the files.",
            gunicorn="logconfig_dict",
            metavar="JSON",
            default_text="none",
        ),
    ] = field(default_factory=dict)

    logconfig_json: Annotated[
        str | None,
        Option(
            doc="The same as a JSON file; it is taken before the INI file.",
            flags=("--log-config-json",),
            gunicorn="logconfig_json",
            metavar="FILE",
            default_text="none",
        ),
    ] = None

    syslog: Annotated[
        bool,
        Option(
            doc="Send both logs to syslog besides.",
            flags=("--log-syslog",),
            gunicorn="syslog",
        ),
    ] = False

    syslog_addr: Annotated[
        str,
        Option(
            doc="Where syslog is: `udp://host:port`, `tcp://host:port`, or `unix:///dev/log`, behind which `#dgram` or "
            "`#stream` may say what sort of socket it is.",
            flags=("--log-syslog-to",),
            gunicorn="syslog_addr",
            metavar="ADDRESS",
            check=check_syslog,
        ),
    ] = "udp://localhost:514"

    syslog_prefix: Annotated[
        str | None,
        Option(
            doc="What stands in the place of the process name in the name of the program, `gunicorn.PREFIX.error`.",
            flags=("--log-syslog-prefix",),
            gunicorn="syslog_prefix",
            metavar="PREFIX",
            default_text="proc_name, or else the application",
        ),
    ] = None

    syslog_facility: Annotated[
        str,
        Option(
            doc="The facility of the messages.",
            flags=("--log-syslog-facility",),
            gunicorn="syslog_facility",
            choices=tuple(FACILITIES),
        ),
    ] = "user"

    disable_redirect_access_to_syslog: Annotated[
        bool,
        Option(
            doc="Keep the access log out of syslog.",
            gunicorn="disable_redirect_access_to_syslog",
        ),
    ] = False

    statsd_host: Annotated[
        str | None,
        Option(
            doc="Send metrics to a statsd server: `host:port` (UDP) or `unix:///path`.",
            gunicorn="statsd_host",
            metavar="ADDRESS",
            check=check_statsd,
            default_text="none: no metrics",
        ),
    ] = None

    statsd_prefix: Annotated[
        str,
        Option(
            doc="What stands before the name of each metric; a dot is added.",
            gunicorn="statsd_prefix",
            metavar="PREFIX",
            default_text="none",
        ),
    ] = ""

    dogstatsd_tags: Annotated[
        str,
        Option(
            doc="Datadog's tags for each metric: `environment:live,region:eu`.",
            gunicorn="dogstatsd_tags",
            metavar="TAGS",
            default_text="none",
        ),
    ] = ""
