"""The settings that we have under Gunicorn's name, where the default or the effect is another one."""

from msgspec import Struct


class Difference(Struct, frozen=True, kw_only=True):
    """How one setting differs."""

    default: str = ""
    """Gunicorn's default, where ours is another."""
    keep: str = ""
    """The words on the command line that bring Gunicorn's default back."""
    unset: str = ""
    """What that means for somebody who has not set it."""
    effect: str = ""
    """What is different where it is set."""


DIFFERENCES = {
    "config": Difference(effect="TOML files are read too; without it every file of docs/settings.md, not only one."),
    "check_config": Difference(effect="The exit status is 2 for settings and 3 for the application, not 1."),
    "print_config": Difference(effect="What it prints is a `pronghorn.toml`; the application is not imported."),
    "workers": Difference(
        default="1",
        keep="--workers 1",
        unset="There is a worker for each CPU that the process may use.",
    ),
    "worker_class": Difference(
        default="sync",
        keep="--worker-class sync",
        effect="`sync` means one thread of the same engine, `gthread` what `threads` says. `gevent` needs "
        "`pip install 'pronghorn[gevent]'`, and patches before the application is imported with `preload_app` too.",
    ),
    "threads": Difference(
        default="1",
        keep="--threads 1",
        unset="Up to 8 threads of a worker call the application at once; one that is not thread-safe needs 1.",
    ),
    "worker_connections": Difference(
        default="1000",
        keep="--worker-connections 1000",
        effect="It bounds connections, not requests; an idle one costs some hundred bytes and makes room first. It is "
        "1000 with `gevent`.",
    ),
    "keepalive": Difference(
        default="2",
        keep="--keep-alive 2",
        unset="Idle connections are kept for 75 s, longer than common load balancers keep them.",
        effect="It holds for every worker class; with Gunicorn `sync` never keeps a connection.",
    ),
    "timeout": Difference(
        effect="It ends the one request that is late, with 504 and its stack in the error log; Gunicorn kills the "
        "worker and every request in it.",
    ),
    "graceful_timeout": Difference(
        effect="A reload waits for it as well: old workers finish while the new ones serve.",
    ),
    "max_requests": Difference(
        effect="The worker serves on until its replacement is ready.",
    ),
    "limit_request_line": Difference(default="4094", keep="--limit-request-line 4094"),
    "limit_request_field_size": Difference(default="8190", keep="--limit-request-field_size 8190"),
    "forwarded_allow_ips": Difference(
        effect="From everybody else X-Forwarded-* headers are dropped, not passed on to the application.",
    ),
    "accesslog": Difference(
        effect="Lines are written together, within 50 ms; nobody waits for one that cannot be written; it is counted.",
    ),
    "logger_class": Difference(
        effect="Gunicorn's own classes mean the server's; one that is derived from them needs Gunicorn installed. "
        "`access` is called when the response has been sent.",
    ),
    "logconfig": Difference(effect="The loggers have our names too: `pronghorn.error`, `pronghorn.access`."),
    "logconfig_dict": Difference(effect="On the command line and in the environment it is JSON."),
    "logconfig_json": Difference(effect="A file that is missing is an error; Gunicorn goes on without it."),
    "syslog": Difference(
        effect="A syslog that does not listen, or not fast enough, loses messages instead of holding requests up; over "
        "TCP a message ends with a line feed.",
    ),
    "statsd_host": Difference(
        effect="Counters are summed up for 50 ms, and several metrics share a datagram, on lines of their own.",
    ),
    "statsd_prefix": Difference(effect="A prefix of one letter gets its dot too."),
    "secure_scheme_headers": Difference(
        effect="Values are compared without regard to case; from everybody else these headers are dropped.",
    ),
    "forwarder_headers": Difference(
        effect="`*` is refused. What SCRIPT_NAME or REMOTE_USER set, Script-Name or Remote-User cannot, whoever sends "
        "them; one that stands twice is a 400.",
    ),
    "header_map": Difference(
        effect="`dangerous` is refused: it would let one header pass for another (request smuggling).",
    ),
    "proxy_protocol": Difference(
        effect="UNKNOWN and unix sockets are taken too, checksums are verified. Whether X-Forwarded-* headers count "
        "goes by the client's address in the header, not by the proxy's. A malformed header closes the connection; "
        "one of a version that is not allowed does so too.",
    ),
    "proxy_allow_ips": Difference(effect="A header from others is answered 400, not 403."),
    "protocol": Difference(
        effect="With `uwsgi` the front end's variables reach the application, REMOTE_ADDR among them. A malformed "
        "packet closes the connection. Each response ends its connection, as nginx expects.",
    ),
    "uwsgi_allow_ips": Difference(effect="It may hold networks."),
    "casefold_http_method": Difference(effect="How a response is framed goes by the method as it was sent."),
    "umask": Difference(
        effect="It is for the server's own files only. On the command line it is octal: `022`; Gunicorn reads `22` as "
        "decimal, which is refused here.",
    ),
    "proc_name": Difference(
        default="gunicorn",
        effect="It needs no setproctitle; the kernel keeps 15 bytes.",
    ),
    "preload_app": Difference(effect="`--no-preload` takes it back on the command line."),
    "reload": Difference(
        effect="No request is lost by it; an application that cannot be imported is answered for with its traceback, "
        "to clients on this machine. `preload_app` is left out beside it.",
    ),
    "reload_engine": Difference(effect="`inotify` needs watchfiles instead of inotify."),
    "reload_extra_files": Difference(effect="Patterns and folders work, and files need not be there yet."),
    "tmp_upload_dir": Difference(effect="Bodies beyond `body_memory` (1 MiB) go there."),
}
"""By Gunicorn's name."""

BEHAVIOURS = """\
- **Request bodies** are there in full before the application is called, up to `limit_request_body` (1 GiB); Gunicorn
  calls first and has no limit.
- **Responses** are drained without a thread: a slow client holds nothing up.
- **A full server** answers 503 with Retry-After when `queue_limit` requests wait or one has waited for `queue_timeout`;
  with Gunicorn they wait in the kernel.
- **SCRIPT_NAME**, from the environment or a trusted proxy, is taken off the path where that goes on with a `/` or ends:
  `/app` does not fit `/apples`, which is answered 500.
- **A wrong setting** ends the start with exit status 2 and a line for each mistake; a misspelt one in a Python file is
  a warning.
- **HUP** starts the new settings and the new code beside the old ones, and keeps the old if anything is wrong.
"""
"""What differs whatever is set, as a list in Markdown."""
