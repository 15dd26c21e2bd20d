"""Makes the engine of one worker from the settings of its generation."""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from socket import socket
from typing import Any, TextIO, cast

from pronghorn.apps.handler import Handler, make_handler
from pronghorn.engine.loop import Engine
from pronghorn.engine.recorder import Recorder, Recorders
from pronghorn.engine.scoreboard import Slot
from pronghorn.errors import AppLoadError
from pronghorn.observe import log, metrics
from pronghorn.observe.access import AccessLog
from pronghorn.observe.logger import is_plain
from pronghorn.options import EngineOptions, Settings
from pronghorn.worker.hooks import Life


def build_engine(  # noqa: PLR0913 - what a worker is made of
    app: Callable[..., Any],
    listeners: Sequence[socket],
    settings: Settings,
    row: Slot,
    access: AccessLog | None,
    *,
    life: Life,
    greenlets: bool = False,
) -> Engine:
    """The engine that serves the WSGI callable `app` on `listeners`, not yet started.

    Arguments:
        row: the worker's row of the scoreboard.
        access: the access log, or None.
        life: the hooks; `worker.nr` is told where to look.
        greenlets: run requests in greenlets instead of in threads.
    """
    options = settings.engine
    plain = make_handler(
        app,
        listeners,
        options,
        settings.trust,
        protocol=settings.network.protocol,
        errors=cast("TextIO", log.error_stream()),  # has all that PEP 3333 asks of wsgi.errors
        # Also with `workers = 1`: a replacement boots and serves beside the worker it replaces, and TTIN adds others.
        multiprocess=True,
        multithread=greenlets or options.threads > 1,
        mount=mount_in(os.environ),
        id_header=settings.logs.request_id_header,
    )
    handler = _with_hooks(plain, life)
    engine = engine_class(greenlets=greenlets)(
        handler,
        listeners,
        options,
        access=recorder_of(_access_of(log.logger(), access), metrics.current()),
        slot=row,
        recycle_after=recycle_after(options),
        ready_path=settings.fleet.ready_path,
        id_header=settings.logs.request_id_header if settings.logs.request_id else None,
    )
    life.worker.count = partial(getattr, engine if handler is plain else handler, "requests_answered")
    return engine


def _with_hooks(handler: Handler, life: Life) -> Any:
    """The handler with `pre_request` and `post_request` around it, if there is one of them."""
    before, after = life.hooks.function("pre_request"), life.hooks.function("post_request")
    if before is None and after is None:
        return handler
    from pronghorn.apps.hooked import Hooked  # noqa: PLC0415 - only where it is asked for

    return Hooked(handler, life.worker, before, after)


def _access_of(logger: Any, access: AccessLog | None) -> Recorder | None:
    """The access log: our own, unless the logger wants to hear of each request."""
    if is_plain(logger):
        return access
    from pronghorn.apps.told import LoggerRecorder  # noqa: PLC0415 - only where it is asked for

    return LoggerRecorder(logger)


def recorder_of(*recorders: Recorder | None) -> Recorder | None:
    """Those that there are, as one."""
    found = [recorder for recorder in recorders if recorder is not None]
    return Recorders(found) if len(found) > 1 else found[0] if found else None


def engine_class(*, greenlets: bool) -> type[Engine]:
    """What runs requests in greenlets, or in threads."""
    if not greenlets:
        return Engine
    from pronghorn.engine.greenlets import GreenletEngine  # noqa: PLC0415 - gevent is not always installed

    return GreenletEngine


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
