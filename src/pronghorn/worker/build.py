"""Makes the engine of one worker from the settings of its generation."""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from socket import socket
from typing import Any, TextIO, cast

from pronghorn.apps.handler import make_handler
from pronghorn.engine.loop import Engine
from pronghorn.engine.scoreboard import Slot
from pronghorn.errors import AppLoadError
from pronghorn.observe import log
from pronghorn.observe.access import AccessLog
from pronghorn.options import EngineOptions, Settings


def build_engine(
    app: Callable[..., Any], listeners: Sequence[socket], settings: Settings, row: Slot, access: AccessLog | None
) -> Engine:
    """The engine that serves the WSGI callable `app` on `listeners`, not yet started.

    Arguments:
        row: the worker's row of the scoreboard.
        access: the access log, or None.
    """
    options = settings.engine
    handler = make_handler(
        app,
        listeners,
        options,
        settings.trust,
        protocol=settings.network.protocol,
        errors=cast("TextIO", log.error_stream()),  # has all that PEP 3333 asks of wsgi.errors
        # Also with `workers = 1`: a replacement boots and serves beside the worker it replaces, and TTIN adds others.
        multiprocess=True,
        mount=mount_in(os.environ),
    )
    return Engine(
        handler,
        listeners,
        options,
        access=access,
        slot=row,
        recycle_after=recycle_after(options),
        ready_path=settings.fleet.ready_path,
    )


def mount_in(environ: Mapping[str, str]) -> str:
    """Where the application stands by the variable SCRIPT_NAME, as with Gunicorn; without a `/` behind it.

    Raises:
        StartError: it is no path.
    """
    mount = environ.get("SCRIPT_NAME", "").rstrip("/")
    if mount and not mount.startswith("/"):
        raise AppLoadError(f"environment SCRIPT_NAME: {mount!r} is not a path; write /{mount}")
    return mount


def recycle_after(options: EngineOptions) -> int:
    """Requests after which this worker asks to be replaced, 0 for never; drawn anew in each worker."""
    if options.max_requests == 0:
        return 0
    # Workers that started together would otherwise all be replaced together.
    return options.max_requests + random.randint(0, options.max_requests_jitter)  # noqa: S311 - no secret
