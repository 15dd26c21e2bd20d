"""Gunicorn's settings that are no settings here: what becomes of each, why, and what is nearest.

The settings that we have under Gunicorn's name stand in `options/`, each with that name. Every other one of Gunicorn
27.0.1 stands here and nowhere else: the words that files, environment and command line are answered with, the options
that the command line takes for them, and `docs/migrating.md` are made from this table.
"""

from enum import Enum
from typing import Any

from msgspec import Struct


class Fate(Enum):
    """What becomes of a setting that asks for something."""

    HELD = "holds anyway"
    """What it asks for is so without it: accepted without a word."""
    LEFT = "warning"
    """The server starts without it, and says so. Nobody is served wrongly or less safely for it."""
    REFUSED = "error"
    """Without it requests would be answered wrongly or less safely, or something else would not be as it seems."""


class Takes(Enum):
    """What follows the option on the command line."""

    VALUE = "a value"
    NOTHING = "nothing"
    PERHAPS = "perhaps a value"


NOTHING: tuple[object, ...] = (None, False, "", "false", "0", (), {})
"""Values by which a setting asks for nothing, unless it says otherwise."""


class Absent(Struct, frozen=True, kw_only=True):
    """One setting of Gunicorn that this version does not have."""

    name: str
    flags: tuple[str, ...] = ()
    takes: Takes = Takes.VALUE
    fate: Fate
    why: str
    """What is so here, as a clause; it follows the setting's name and a colon."""
    instead: str = ""
    """What is nearest, as an order to the reader."""
    quiet: tuple[object, ...] = ()
    """More values that ask for nothing: Gunicorn's default, mostly. Texts in lower case."""
    nothing: tuple[object, ...] = NOTHING
    stands_for: bool | str = True
    """The value that an option without one stands for."""
    environment: str = ""
    """The variable that Gunicorn reads for it."""

    def asks(self, value: object) -> bool:
        """Whether the value asks for something that is not so here."""
        plain: Any = value.strip().lower() if isinstance(value, str) else value
        plain = tuple(plain) if isinstance(plain, list) else plain
        return self.fate is not Fate.HELD and plain not in self.nothing and plain not in self.quiet

    def word(self, origin: str) -> str:
        """The line for the user."""
        fate = "is not supported" if self.fate is Fate.REFUSED else "has no effect"
        return f"{origin}: {self.name} {fate}: {self.why}" + (f"; {self.instead}" if self.instead else "")


TAKE_OUT = "take it out"
NO_TLS = "this version has no TLS"
END_TLS = "have a load balancer or a proxy in front end it"
PASTE = "PasteDeploy files are not read"
FACTORY = 'write a module that calls paste.deploy.loadapp, and name it: "module:application"'
NO_ASGI = "it is for ASGI applications, and this version serves WSGI"
NO_HTTP2 = "this version speaks HTTP/1.1 and 1.0"
DIRTY = "there are no dirty workers"
OWN_WORKERS = "run such tasks in a queue of their own (Celery, RQ)"
ONE_PARSER = "every request is parsed strictly (RFC 9112)"
CONTROL = "there is no control socket"
SIGNALS = "use signals, docs/signals.md"
OTHER_LOOPHOLE = "it would let a request mean two things to two servers (request smuggling); take it out"

_ROWS = (
    # The command
    Absent(
        name="daemon",
        flags=("--daemon", "-D"),
        takes=Takes.NOTHING,
        fate=Fate.REFUSED,
        why="the server stays in the foreground",
        instead="have systemd or another supervisor run it, or write `setsid --fork pronghorn …`",
    ),
    Absent(name="paste", flags=("--paste", "--paster"), fate=Fate.REFUSED, why=PASTE, instead=FACTORY),
    Absent(name="raw_paste_global_conf", flags=("--paste-global",), fate=Fate.REFUSED, why=PASTE, instead=FACTORY),
    Absent(
        name="spew",
        flags=("--spew",),
        takes=Takes.NOTHING,
        fate=Fate.LEFT,
        why="lines are not traced",
        instead="use a debugger, or `python -m trace` on what you suspect",
    ),
    Absent(
        name="enable_stdio_inheritance",
        flags=("--enable-stdio-inheritance", "-R"),
        takes=Takes.NOTHING,
        fate=Fate.HELD,
        why="the workers always have the command's standard output and error",
    ),
    Absent(
        name="default_proc_name",
        fate=Fate.LEFT,
        why="it is a name inside Gunicorn",
        instead="use proc_name",
        quiet=("gunicorn",),
    ),
    # Processes
    Absent(
        name="worker_tmp_dir",
        flags=("--worker-tmp-dir",),
        fate=Fate.LEFT,
        why="workers show that they live in shared memory, not in files",
        instead=TAKE_OUT,
    ),
    Absent(name="control_socket", flags=("--control-socket",), fate=Fate.LEFT, why=CONTROL, instead=SIGNALS),
    Absent(name="control_socket_mode", flags=("--control-socket-mode",), fate=Fate.LEFT, why=CONTROL, instead=SIGNALS),
    Absent(
        name="control_socket_disable",
        flags=("--no-control-socket",),
        takes=Takes.NOTHING,
        fate=Fate.HELD,
        why=CONTROL,
    ),
    # Dirty workers
    Absent(name="dirty_apps", flags=("--dirty-app",), fate=Fate.REFUSED, why=DIRTY, instead=OWN_WORKERS),
    Absent(name="dirty_workers", flags=("--dirty-workers",), fate=Fate.LEFT, why=DIRTY, instead=OWN_WORKERS),
    Absent(name="dirty_threads", flags=("--dirty-threads",), fate=Fate.LEFT, why=DIRTY, instead=OWN_WORKERS),
    Absent(name="dirty_timeout", flags=("--dirty-timeout",), fate=Fate.LEFT, why=DIRTY, instead=OWN_WORKERS),
    Absent(
        name="dirty_graceful_timeout",
        flags=("--dirty-graceful-timeout",),
        fate=Fate.LEFT,
        why=DIRTY,
        instead=OWN_WORKERS,
    ),
    # Requests
    Absent(
        name="permit_obsolete_folding",
        flags=("--permit-obsolete-folding",),
        takes=Takes.NOTHING,
        fate=Fate.REFUSED,
        why="a folded header line is a 400 (RFC 9112, 5.2)",
        instead=OTHER_LOOPHOLE,
    ),
    Absent(
        name="strip_header_spaces",
        flags=("--strip-header-spaces",),
        takes=Takes.NOTHING,
        fate=Fate.REFUSED,
        why="a space before the colon of a header is a 400 (RFC 9112, 5.1)",
        instead=OTHER_LOOPHOLE,
    ),
    Absent(
        name="permit_unconventional_http_version",
        flags=("--permit-unconventional-http-version",),
        takes=Takes.NOTHING,
        fate=Fate.REFUSED,
        why="a version other than HTTP/1.1 and 1.0 is a 505 or a 400",
        instead=OTHER_LOOPHOLE,
    ),
    Absent(
        name="permit_unconventional_http_method",
        flags=("--permit-unconventional-http-method",),
        takes=Takes.NOTHING,
        fate=Fate.HELD,
        why="every method that is a token of RFC 9110 reaches the application",
    ),
    Absent(
        name="http_parser",
        flags=("--http-parser",),
        fate=Fate.LEFT,
        why="there is one parser, a compiled one",
        instead=TAKE_OUT,
        quiet=("auto", "fast"),
    ),
    Absent(
        name="sendfile",
        flags=("--no-sendfile",),
        takes=Takes.NOTHING,
        fate=Fate.LEFT,
        why="files of wsgi.file_wrapper always leave by sendfile()",
        instead="hand out an iterator of bytes where that must not be",
        quiet=(True, "y", "1", "yes", "true"),
        nothing=(None, ""),
        stands_for=False,
        environment="SENDFILE",
    ),
    # TLS
    *(
        Absent(name=name, flags=(f"--{name.replace('_', '-')}",), fate=Fate.REFUSED, why=NO_TLS, instead=END_TLS)
        for name in ("certfile", "keyfile", "ca_certs", "cert_reqs")
    ),
    *(
        Absent(
            name=name, flags=(f"--{name.replace('_', '-')}",), fate=Fate.LEFT, why=NO_TLS, instead=END_TLS, quiet=quiet
        )
        for name, quiet in (("ciphers", ()), ("ssl_version", (2, "2")))
    ),
    Absent(
        name="do_handshake_on_connect",
        flags=("--do-handshake-on-connect",),
        takes=Takes.NOTHING,
        fate=Fate.LEFT,
        why=NO_TLS,
        instead=END_TLS,
    ),
    Absent(
        name="suppress_ragged_eofs",
        flags=("--suppress-ragged-eofs",),
        takes=Takes.NOTHING,
        fate=Fate.HELD,
        why="without TLS no end of a connection is ragged",
    ),
    # HTTP/2 and ASGI
    Absent(
        name="http_protocols",
        flags=("--http-protocols",),
        fate=Fate.LEFT,
        why=NO_HTTP2,
        instead="let the proxy in front speak HTTP/2 with the clients",
        quiet=("h1",),
    ),
    Absent(
        name="http2_cleartext",
        flags=("--http2-cleartext",),
        fate=Fate.REFUSED,
        why=NO_HTTP2,
        instead="have the proxy in front speak HTTP/1.1 with the server",
        quiet=("off",),
    ),
    *(
        Absent(
            name=f"http2_{name}",
            flags=(f"--http2-{name.replace('_', '-')}",),
            fate=Fate.LEFT,
            why=NO_HTTP2,
            instead=TAKE_OUT,
        )
        for name in ("max_concurrent_streams", "initial_window_size", "max_frame_size", "max_header_list_size")
    ),
    *(
        Absent(
            name=name,
            flags=(f"--{name.replace('_', '-')}",),
            fate=Fate.LEFT,
            why=NO_ASGI,
            instead=TAKE_OUT,
            quiet=("auto",),
        )
        for name in (
            "asgi_loop",
            "asgi_lifespan",
            "asgi_disconnect_grace_period",
            "root_path",
            "websocket_max_message_size",
        )
    ),
    # Metrics
    Absent(
        name="enable_backlog_metric",
        flags=("--enable-backlog-metric",),
        takes=Takes.NOTHING,
        fate=Fate.LEFT,
        why="the queues of the listeners are not measured",
        instead="`ss -ltn` shows the queue of each listener",
    ),
)

ABSENT = {row.name: row for row in _ROWS}
"""By Gunicorn's name."""

COMMAND = ("config", "check_config", "print_config")
"""Settings of Gunicorn that are options of our command, and nothing that a file could say."""
