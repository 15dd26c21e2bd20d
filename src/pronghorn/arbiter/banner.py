"""The lines that the command says when it starts."""

import os
import sys
from collections.abc import Iterator, Sequence

from pronghorn import __version__
from pronghorn.arbiter.listeners import Listener
from pronghorn.options import Settings
from pronghorn.options.fleet import GEVENT


def banner(settings: Settings, listeners: Sequence[Listener]) -> Iterator[str]:
    """What is to be served where, and by how many; one line each. Nobody has imported the application yet."""
    yield f"Pronghorn {__version__} starts {settings.app.app}, Python {sys.version.split()[0]}"
    for listener in listeners:
        yield f"listening on {_spoken(listener.url, settings.network.protocol)}"
    yield f"{_fleet(settings)}, arbiter pid {os.getpid()}"
    if settings.development.reload:
        yield f"files are watched: {_watching(settings)}"


def served(settings: Settings) -> str:
    """The line for the moment when the first worker is ready."""
    pid = os.getpid()
    stop = f"stop: kill {pid} (or Ctrl-C, which does not wait for requests)"
    return f"{settings.app.app} is served; reload: kill -HUP {pid}   {stop}"


def _spoken(url: str, protocol: str) -> str:
    """The URL with the protocol that is spoken there; that of a unix socket has none of its own."""
    if protocol == "http":
        return url
    return url.replace("http://", f"{protocol}://") if url.startswith("http://") else f"{url} ({protocol})"


def _fleet(settings: Settings) -> str:
    workers = _count(settings.fleet.workers, "worker")
    match settings.fleet.worker_class:
        case "gevent":
            return f"{workers} × {_count(settings.engine.worker_connections, 'greenlet')}"  # noqa: RUF001
        case "threads" | "gthread" | "sync":
            return f"{workers} × {_count(settings.engine.threads, 'thread')}"  # noqa: RUF001
        case own:
            return f"{workers} of class {own}"


def _watching(settings: Settings) -> str:
    # No other server pays for it.
    from pronghorn.dev.watch import POLL, engine_in_use  # noqa: PLC0415

    greenlets = settings.fleet.worker_class == GEVENT
    if engine_in_use(settings.development.reload_engine, greenlets=greenlets) == "inotify":
        return "the kernel tells of changes (reload_engine inotify, by watchfiles)"
    return f"each is looked at every {POLL:g} s (reload_engine poll; pip install 'pronghorn[reload]' for inotify)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
