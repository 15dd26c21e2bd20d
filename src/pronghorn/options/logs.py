"""What can be set about the error log, the access log, and what else is told about requests."""

import re
from typing import Annotated

from msgspec import Struct

from pronghorn.options.log_targets import check_statsd
from pronghorn.options.option import Option

LEVELS = ("debug", "info", "warning", "error", "critical")

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
