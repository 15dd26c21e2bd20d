"""The lines that the command says when it starts."""

import os
import sys
from collections.abc import Iterator, Sequence

from pronghorn import __version__
from pronghorn.arbiter.listeners import Listener
from pronghorn.options import Settings
from pronghorn.options.fleet import GEVENT


def banner(settings: Settings, listeners: Sequence[Listener]) -> Iterator[str]:
    """What is served where, by how many, and how to reload and stop it; one line each."""
    yield f"Pronghorn {__version__} serves {settings.app.app}, Python {sys.version.split()[0]}"
    for listener in listeners:
        yield f"listening on {_spoken(listener.url, settings.network.protocol)}"
    yield f"{_fleet(settings)}, arbiter pid {os.getpid()}"
    if settings.development.reload:
        yield f"files are watched: {_watching(settings)}"
    yield f"reload: kill -HUP {os.getpid()}   stop: kill {os.getpid()} (or Ctrl-C, which does not wait for requests)"


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
