"""What can be set about the processes."""

from typing import Annotated

from msgspec import Struct, field

from pronghorn.options.cpus import allowed_cpus
from pronghorn.options.option import LONGEST, Option, Unit

MOST_MEMORY = 1 << 50
"""Bytes; more than any machine has."""

GEVENT = "gevent"

WORKER_CLASSES = ("threads", "gthread", "sync", GEVENT)
"""`threads` is ours; `gthread` and `sync` are Gunicorn's names for the same engine with many threads and with one."""

GUNICORNS_CLASSES = {
    "gunicorn.workers.sync.syncworker": "sync",
    "gunicorn.workers.gthread.threadworker": "gthread",
    "egg:gunicorn#sync": "sync",
    "egg:gunicorn#gthread": "gthread",
    "gunicorn.workers.ggevent.geventworker": "gevent",
    "gunicorn.workers.ggevent.geventpywsgiworker": "gevent",
    "egg:gunicorn#gevent": "gevent",
    "egg:gunicorn#gevent_wsgi": "gevent",
    "egg:gunicorn#gevent_pywsgi": "gevent",
    "gevent_wsgi": "gevent",
    "gevent_pywsgi": "gevent",
}
"""The same as Gunicorn's files may name them as well."""

ABSENT_CLASSES = {
    "uvicorn": "is for ASGI applications, which this version does not serve",
    "asgi": "is for ASGI applications, which this version does not serve",
    "tornado": "is not available: a Tornado application has a server of its own; a WSGI application needs no Tornado",
    "eventlet": "is not available: gevent is, and needs `gevent.monkey` in the place of `eventlet.monkey_patch`",
}
"""By a word in the name: what becomes of Gunicorn's other worker classes, and of those that are used with it."""


def check_worker_class(text: str) -> None:
    """ValueError unless `text` is one of WORKER_CLASSES or the path of a class; says why others are none."""
    if text in WORKER_CLASSES:
        return
    for word, why in ABSENT_CLASSES.items():
        if word in text.lower():
            raise ValueError(f"{text!r} {why}")
    module, _, name = text.replace(":", ".").rpartition(".")
    if not all(part.isidentifier() for part in (*module.split("."), name)) or module.startswith("gunicorn."):
        names = f"{', '.join(WORKER_CLASSES[:-1])} or {WORKER_CLASSES[-1]}"
        raise ValueError(f"{text!r} is not available: use {names}, or name a class as package.module.Class")


def check_path(text: str) -> None:
    """ValueError unless `text` can be the path of a request."""
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or set(text) & {" ", "#"}:
        raise ValueError(f"{text!r} is not a path: write it as it stands in a request, such as /healthz")


class FleetOptions(Struct, frozen=True, kw_only=True):
    """The arbiter and its workers."""

    workers: Annotated[
        int,
        Option(
            doc="Worker processes. One per CPU is right for most applications, because each worker has threads too.",
            flags=("--workers", "-w"),
            gunicorn="workers",
            minimum=1,
            maximum=4096,
            environment=("WEB_CONCURRENCY",),
            default_text="the CPUs this process may use (affinity and cgroup quota)",
        ),
    ] = field(default_factory=allowed_cpus)

    worker_class: Annotated[
        str,
        Option(
            doc="How requests run. `threads` and Gunicorn's `gthread` mean the same: `threads` as set. `sync` means "
            "one thread per worker, unless `threads` is set too. With `gevent` each request has a greenlet of its own; "
            "it needs `pip install 'pronghorn[gevent]'`. The path of a class is taken as well: "
            "[worker-classes.md](worker-classes.md).",
            flags=("--worker-class", "-k"),
            gunicorn="worker_class",
            choices=WORKER_CLASSES,
            aliases=GUNICORNS_CLASSES,
            check=check_worker_class,
        ),
    ] = "threads"

    graceful_timeout: Annotated[
        float,
        Option(
            doc="Time that running requests get to finish when a worker stops; then it is killed.",
            gunicorn="graceful_timeout",
            unit=Unit.SECONDS,
            minimum=0,
            maximum=LONGEST,
        ),
    ] = 30.0

    drain_delay: Annotated[
        float,
        Option(
            doc="Time between TERM and the drain: everything is still served, only readiness is off, so that a load "
            "balancer can take the server out first.",
            unit=Unit.SECONDS,
            minimum=0,
            maximum=LONGEST,
        ),
    ] = 0.0

    boot_timeout: Annotated[
        float,
        Option(
            doc="Time that a worker gets to import the application and be ready; then it is killed. Also the time that "
            "a reload gets to read the settings, and a hook of the arbiter that runs while the workers serve.",
            unit=Unit.SECONDS,
            minimum=1,
            maximum=LONGEST,
        ),
    ] = 60.0

    max_lifetime: Annotated[
        float,
        Option(
            doc="How long a worker serves before it is replaced; 0 means for ever. Its replacement is ready first.",
            unit=Unit.SECONDS,
            minimum=0,
            maximum=LONGEST,
        ),
    ] = 0.0

    max_lifetime_jitter: Annotated[
        float,
        Option(
            doc="Up to so much is added to max_lifetime, at random, so that not all workers are due together.",
            unit=Unit.SECONDS,
            minimum=0,
            maximum=LONGEST,
        ),
    ] = 0.0

    max_memory: Annotated[
        int,
        Option(
            doc="Resident memory of one worker, shared pages included, beyond which it is replaced; 0 means no limit. "
            "Looked at once a second. The worker serves until its replacement is ready.",
            unit=Unit.BYTES,
            minimum=0,
            maximum=MOST_MEMORY,
        ),
    ] = 0

    recycle_at_once: Annotated[
        int,
        Option(
            doc="Workers that may be replaced at the same time because of max_requests, max_lifetime, max_memory or a "
            "stuck thread, until the old ones are gone; the others serve on and wait their turn.",
            minimum=1,
            maximum=4096,
        ),
    ] = 1
    ready_path: Annotated[
        str | None,
        Option(
            doc="Path that a new worker asks the application for before it accepts connections, within the process "
            "(`GET`, `Host: localhost`): it is ready when the answer is 2xx or 3xx, and asks again until then. Once "
            "the server is about to stop, requests for this path are answered 503, so that load balancers look "
            "elsewhere.",
            metavar="PATH",
            check=check_path,
            default_text="none: a worker is ready when the application is imported",
        ),
    ] = None

    pidfile: Annotated[
        str | None,
        Option(
            doc="File that holds the arbiter's process id while it runs.",
            flags=("--pid", "-p"),
            gunicorn="pidfile",
            metavar="FILE",
            default_text="none",
        ),
    ] = None

    proc_name: Annotated[
        str | None,
        Option(
            doc="Name of the processes as `ps -o comm` and `top` show it; the kernel keeps the first 15 bytes.",
            flags=("--name", "-n"),
            gunicorn="proc_name",
            metavar="NAME",
            default_text="none",
        ),
    ] = None
