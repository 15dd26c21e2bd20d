"""Every server that is measured: its name, what must be installed, and its command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .machine import BUILD, FLOOR, OWN_PYTHON, PEER_BIN

PYTHON = str(PEER_BIN / "python")
FOREVER = 10_000_000_000  # bytes: a body limit that no workload reaches


@dataclass(frozen=True, slots=True)
class Launch:
    """What a workload asks of every server alike.

    `blocking` says whether handlers block: where they do not, a peer whose best is fewer threads gets fewer.
    `floor` is the arguments of the floor program: body size in bytes, and whether it closes.
    """

    app: str
    port: int
    threads: int = 8
    blocking: bool = False
    connections: int = 32
    workers: int = 1
    preload: bool = False
    floor: Sequence[str] = ("12",)

    @property
    def bind(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    def imported(self) -> str:
        """Python that imports the app as `app`, for the servers that have no command of their own."""
        module, _, name = self.app.partition(":")
        return f"from {module} import {name} as app"


@dataclass(frozen=True, slots=True)
class Server:
    """One server in one configuration. `package` is its distribution's name; empty for the floor."""

    name: str
    package: str
    command: Callable[[Launch], list[str]]

    @property
    def python(self) -> str:
        """The interpreter that it runs."""
        return str(OWN_PYTHON) if self.package == "pronghorn" else PYTHON


def floor(launch: Launch) -> list[str]:
    """The C program that answers each read."""
    return [str(FLOOR), str(launch.port), *launch.floor]


def pronghorn(launch: Launch) -> list[str]:
    """As a user starts it."""
    threads = ["--workers", str(launch.workers), "--threads", str(launch.threads)]
    preload = ["--preload"] if launch.preload else []
    return [str(OWN_PYTHON), "-m", "pronghorn", *threads, *preload, "--bind", launch.bind, launch.app]


def one_thread(launch: Launch) -> list[str]:
    """Pronghorn with one application thread, to compare more threads with."""
    return [str(OWN_PYTHON), "-m", "pronghorn", "--workers", "1", "--threads", "1", "--bind", launch.bind, launch.app]


def with_log(launch: Launch) -> list[str]:
    """Pronghorn with its access log."""
    return [*pronghorn(launch), "--access-logfile", str(BUILD / "access.log")]


def in_greenlets(launch: Launch) -> list[str]:
    """Pronghorn's gevent worker, with the connection limit that Gunicorn's gets."""
    kind = ["--worker-class", "gevent", "--workers", str(launch.workers), "--worker-connections", "20000"]
    return [str(OWN_PYTHON), "-m", "pronghorn", *kind, "--bind", launch.bind, launch.app]


def with_json(launch: Launch) -> list[str]:
    """Pronghorn with its access log as JSON."""
    return [*with_log(launch), "--log-format", "json"]


def with_statsd(launch: Launch) -> list[str]:
    """Pronghorn with metrics; nobody listens, which costs the sender nothing less."""
    return [*pronghorn(launch), "--statsd-host", "127.0.0.1:9"]


def with_ids(launch: Launch) -> list[str]:
    """Pronghorn with an id for each request."""
    return [*pronghorn(launch), "--request-id"]


def fastpysgi(launch: Launch) -> list[str]:
    """One thread; its default body limit of 10 MB is lifted."""
    lift = f"fastpysgi.server.max_content_length = {FOREVER}"
    run = f"fastpysgi.run(app, '127.0.0.1', {launch.port})"
    return [PYTHON, "-c", f"import fastpysgi\n{launch.imported()}\n{lift}\n{run}"]


def bjoern(launch: Launch) -> list[str]:
    """One thread."""
    return [PYTHON, "-c", f"import bjoern\n{launch.imported()}\nbjoern.run(app, '127.0.0.1', {launch.port})"]


def granian(launch: Launch) -> list[str]:
    """One blocking thread where nothing blocks, its fastest there; the workload's number where handlers block."""
    threads = launch.threads if launch.blocking else 1
    options = ["--interface", "wsgi", "--workers", str(launch.workers), "--blocking-threads", str(threads)]
    quiet = ["--log-level", "error", "--http", "1", "--no-ws", "--host", "127.0.0.1", "--port", str(launch.port)]
    room = ["--backpressure", "20000"] if launch.connections > 1024 else []
    return [str(PEER_BIN / "granian"), *options, *quiet, *room, launch.app]


def waitress(launch: Launch) -> list[str]:
    """Poll, because select ends at 1,024 descriptors, and no connection limit below the workloads'."""
    limits = ["--asyncore-use-poll", "--connection-limit=20000", f"--max-request-body-size={FOREVER}"]
    return [
        str(PEER_BIN / "waitress-serve"),
        f"--listen={launch.bind}",
        f"--threads={launch.threads}",
        *limits,
        launch.app,
    ]


def uwsgi(launch: Launch) -> list[str]:
    """A thread for each connection, without which --http11-socket leaves keep-alive connections unserved."""
    threads = str(min(max(launch.connections, launch.threads), 256))
    serve = ["--http11-socket", launch.bind, "--processes", str(launch.workers), "--threads", threads]
    quiet = ["--disable-logging", "--master", "--die-on-term", "--need-app", "--listen", "1024"]
    preload = [] if launch.preload else ["--lazy-apps"]
    return [str(PEER_BIN / "uwsgi"), *serve, *quiet, *preload, "--enable-threads", "--module", launch.app]


def gunicorn(worker_class: str) -> Callable[[Launch], list[str]]:
    """The command of one of Gunicorn's worker classes."""

    def command(launch: Launch) -> list[str]:
        kind = ["--worker-class", worker_class, "--workers", str(launch.workers)]
        threads = ["--threads", str(launch.threads)] if worker_class == "gthread" else []
        limits = ["--keep-alive", "75", "--worker-connections", "20000", "--log-level", "error"]
        preload = ["--preload"] if launch.preload else []
        return [str(PEER_BIN / "gunicorn"), *kind, *threads, *limits, *preload, "--bind", launch.bind, launch.app]

    return command


SERVERS = {
    server.name: server
    for server in (
        Server("floor", "", floor),
        Server("pronghorn", "pronghorn", pronghorn),
        Server("pronghorn-1", "pronghorn", one_thread),
        Server("pronghorn-log", "pronghorn", with_log),
        Server("pronghorn-json", "pronghorn", with_json),
        Server("pronghorn-statsd", "pronghorn", with_statsd),
        Server("pronghorn-ids", "pronghorn", with_ids),
        Server("pronghorn-gevent", "pronghorn", in_greenlets),
        Server("fastpysgi", "fastpysgi", fastpysgi),
        Server("bjoern", "bjoern", bjoern),
        Server("granian", "granian", granian),
        Server("waitress", "waitress", waitress),
        Server("uwsgi", "uwsgi", uwsgi),
        Server("gunicorn-gevent", "gevent", gunicorn("gevent")),
        Server("gunicorn-gthread", "gunicorn", gunicorn("gthread")),
        Server("gunicorn-sync", "gunicorn", gunicorn("sync")),
    )
}
PEERS = tuple(name for name, server in SERVERS.items() if server.package not in {"", "pronghorn"})
GREEN = ("pronghorn-gevent", "gunicorn-gevent")
THREADED = ("granian", "waitress", "uwsgi", "gunicorn-gthread")
