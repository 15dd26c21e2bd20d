"""The configurations that are compared: each a file of configs/, how it is started, and what is done besides asking."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HUP, TTIN, TTOU, USR1 = signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1
TERM, INT, QUIT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT


@dataclass(frozen=True)
class Case:
    """One configuration. `config` names its file.

    `arguments` stand on the command line besides `-c`, `application` behind them. `signals` go to the arbiter one by
    one, each when the one before has had its effect; the last ends the server. `asks` names what is asked besides
    script.COMMON, or what `only` names of it, and `logs` the files that are read at the end.
    """

    config: str
    name: str = ""
    """How it is called in reports; by default as its file."""
    arguments: Sequence[str] = ()
    application: Sequence[str] = ("shop:app",)
    environment: Mapping[str, str] = field(default_factory=dict)
    signals: Sequence[signal.Signals] = (HUP, TERM)
    only: Sequence[str] | None = None
    asks: Sequence[str] = ()
    logs: Sequence[str] = ()
    workers: int = 0
    """How many it asks for; 0: it does not say."""
    socket: str = ""
    """Where a unix socket is asked instead."""
    proxy: bytes = b""
    """What stands in front of each connection."""
    activated: bool = False
    """The socket is opened for the server, as systemd does it."""

    @property
    def title(self) -> str:
        """How it is called in reports."""
        return self.name or self.config


FEW = ("hello", "environ")
STARTED_BY_ENVIRONMENT = {
    "SHOP_BIND": "127.0.0.1:0", "WEB_CONCURRENCY": "2", "LOG_LEVEL": "warning", "TIMEOUT": "20",
}  # fmt: skip
EVERY_LOG_LINE = ("hello", "hello-1.0", "head", "stream", "nothing", "error")

CASES = (
    Case("minimal", workers=2, signals=(HUP, USR1, QUIT)),
    Case(
        "minimal",
        name="command_line",
        workers=1,
        arguments=("--access-logfile", "-", "--workers", "1"),
        environment={"GUNICORN_CMD_ARGS": "--access-logformat %(m)s-%(s)s --workers 3"},
        only=("hello",),
    ),
    Case(
        "django_behind_nginx",
        workers=3,
        application=(),
        socket="shop.sock",
        logs=("access.log",),
        only=FEW,
        asks=("https",),
    ),
    Case("docker", workers=2, environment=STARTED_BY_ENVIRONMENT, only=FEW),
    Case("heroku", workers=2, environment={"SHOP_PORT": "0"}, only=FEW, asks=("https", "forwarded")),
    Case("gthread", workers=1),
    Case("sync", workers=3),
    Case("sync_with_threads", workers=1, only=FEW),
    Case("preload_dispose", workers=2, only=FEW),
    Case("gevent_psycopg", workers=1, signals=(TERM,)),
    Case("statsd", workers=1, only=("hello", "error"), signals=(TERM,)),
    Case("logging_dict", workers=1, only=("hello", "error"), logs=("json.log",), signals=(TERM,)),
    Case("logging_file", workers=1, only=("hello", "error"), logs=("ini.log",), signals=(TERM,)),
    Case(
        "access_format",
        only=EVERY_LOG_LINE,
        asks=("query", "forwarded", "referer", "forged"),
        logs=("access.log",),
        signals=(USR1, TERM),
    ),
    Case("capture_output", only=("hello",), asks=("talk",), logs=("error.log",), signals=(TERM,)),
    Case("syslog", workers=1, only=("hello", "error"), signals=(TERM,)),
    # No TTIN: a worker that is told to leave before it is ready has no `worker_exit`, and when it is ready differs.
    Case("hooks", workers=1, only=("hello",), signals=(HUP, TERM)),
    Case("nginx_buildpack", only=FEW, signals=(TERM,)),
    Case("prometheus", workers=1, only=(), asks=("many",), signals=(TERM,), logs=("dead.txt",)),
    Case("timeout", workers=1, only=(), asks=("slow",), signals=(TERM,)),
    Case("limits", only=("hello",), asks=("long-line", "many-fields", "long-field"), signals=(TERM,)),
    Case("untrusted_proxy", only=(), asks=("https", "forwarded"), signals=(TERM,)),
    Case("header_map", only=("hello", "environ", "underscore"), signals=(TERM,)),
    Case("proxy_protocol", only=FEW, proxy=b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n", signals=(TERM,)),
    Case("directories", only=FEW),
    Case("logger_class", only=FEW, signals=(TERM,)),
    Case("systemd_socket", workers=2, only=FEW, activated=True),
    Case("several_addresses", workers=2, only=FEW, socket="shop.sock", signals=(TERM,)),
    Case("request_hooks", only=FEW, signals=(TERM,)),
    Case("from_environment", workers=2, environment={"SHOP_SET_WORKERS": "2"}, only=FEW),
    Case("constants", workers=2, only=FEW, signals=(INT,)),
    Case("growing", workers=2, only=("hello",), signals=(TTIN, TTIN, TTOU, TERM)),
    Case("stacks", workers=1, only=("hello",), signals=(QUIT,)),
    Case("factory", workers=1, application=(), only=FEW, asks=("forwarded",)),
)
