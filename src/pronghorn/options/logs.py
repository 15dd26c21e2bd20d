"""What can be set about the error log and the access log."""

from typing import Annotated

from msgspec import Struct

from pronghorn.options.option import Option

LEVELS = ("debug", "info", "warning", "error", "critical")


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
