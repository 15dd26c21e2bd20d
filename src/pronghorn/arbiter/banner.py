"""The lines that the command says when it starts."""

import os
import sys
from collections.abc import Iterator, Sequence

from pronghorn import __version__
from pronghorn.arbiter.listeners import Listener
from pronghorn.dev.watch import POLL, engine_in_use
from pronghorn.options import Settings


def banner(settings: Settings, listeners: Sequence[Listener]) -> Iterator[str]:
    """What is served where, by how many, and how to reload and stop it; one line each."""
    workers, threads = settings.fleet.workers, settings.engine.threads
    yield f"Pronghorn {__version__} serves {settings.app.app}, Python {sys.version.split()[0]}"
    for listener in listeners:
        yield f"listening on {_spoken(listener.url, settings.network.protocol)}"
    yield f"{_count(workers, 'worker')} × {_count(threads, 'thread')}, arbiter pid {os.getpid()}"  # noqa: RUF001
    if settings.development.reload:
        yield f"files are watched: {_WATCHING[engine_in_use(settings.development.reload_engine)]}"
    yield f"reload: kill -HUP {os.getpid()}   stop: kill {os.getpid()} (or Ctrl-C, which does not wait for requests)"


def _spoken(url: str, protocol: str) -> str:
    """The URL with the protocol that is spoken there; that of a unix socket has none of its own."""
    if protocol == "http":
        return url
    return url.replace("http://", f"{protocol}://") if url.startswith("http://") else f"{url} ({protocol})"


_WATCHING = {
    "inotify": "the kernel tells of changes (reload_engine inotify, by watchfiles)",
    "poll": f"each is looked at every {POLL:g} s (reload_engine poll; pip install pronghorn[reload] for inotify)",
}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
