"""An application served on a free port, for somebody's tests: a thread of this process, the real engine."""

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from pronghorn.apps.handler import make_handler
from pronghorn.engine.loop import Engine
from pronghorn.engine.scoreboard import Slot
from pronghorn.options import EngineOptions, TrustOptions
from pronghorn.options.fleet import GEVENT
from pronghorn.worker.build import engine_class

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pronghorn.options.typed import EngineSettings

    class ServeOptions(EngineSettings, total=False):
        """What `serve` takes by name: the settings of one engine and about proxies, and these."""

        worker_class: str
        protocol: str
        id_header: str | None


__all__ = ["serve", "serve_engine"]

DEFAULT_WORKER_CLASS = "threads"
"""What runs the requests when a test does not say."""

PATIENCE = 10.0
"""Seconds an engine has to stop once its last request has been answered."""


@contextmanager
def serve(app: Any, *, host: str = "127.0.0.1", **options: "Unpack[ServeOptions]") -> Iterator[str]:
    """Serve the WSGI callable `app` while the `with` block runs; gives its URL, such as `http://127.0.0.1:43210`.

    The port is chosen by the kernel. `options` are the engine's settings by name (docs/settings.md, "One worker's
    engine"), and those about proxies, of whom none is trusted unless `forwarded_allow_ips` says so: `threads=1`,
    `keepalive=5.0`, `limit_request_body=1024`. Leaving the block drains the server: what was accepted is answered. With
    `worker_class="gevent"` requests run in greenlets, in a thread that has a hub of its own; patching the process for
    gevent is left to the test.

        with pronghorn.testing.serve(app) as url:
            assert httpx.get(url).status_code == 200

    Raises TypeError for an unknown option, which a type checker finds before, and RuntimeError if requests are still
    running ten seconds after the block.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=1024)
    port = listener.getsockname()[1]
    with serve_engine(app, [listener], **options):
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def serve_engine(  # noqa: PLR0913 - what an engine is made of
    app: Any,
    listeners: list[socket.socket],
    *,
    access: Any = None,
    slot: Slot | None = None,
    ready_path: str | None = None,
    id_header: str | None = None,
    protocol: str = "http",
    **options: Any,
) -> Iterator[Engine]:
    """Serve `app` on sockets of the caller's; gives the engine, whose counters a test may look at.

    The engine closes the listeners when it stops, and writes to `slot`, a row of a scoreboard, if there is one. With
    `id_header` every request has an id, as with the setting `request_id`. Otherwise as `serve`.
    """
    greenlets = options.pop("worker_class", DEFAULT_WORKER_CLASS) == GEVENT
    trusting = {name: options.pop(name) for name in TrustOptions.__struct_fields__ if name in options}
    settings = msgspec.structs.replace(EngineOptions(), **options)
    trust = TrustOptions(**{"forwarded_allow_ips": (), **trusting})  # a test's client is no proxy
    handler = make_handler(
        app, listeners, settings, trust,
        protocol=protocol, errors=sys.stderr, multithread=greenlets or settings.threads > 1, multiprocess=False,
    )  # fmt: skip
    log = logging.getLogger("pronghorn.error")
    told = {"access": access, "slot": slot, "log": log, "ready_path": ready_path, "id_header": id_header}
    engine = engine_class(greenlets=greenlets)(handler, listeners, settings, **told)
    thread = threading.Thread(target=_run_hub, args=(engine,), name="pronghorn-hub", daemon=True)
    if greenlets:
        thread.start()
    else:
        engine.start()
    try:
        yield engine
    finally:
        engine.drain()
        if not engine.join(PATIENCE):
            engine.stop()
            engine.join(PATIENCE)
            message = f"{engine!r} did not come to its end: a request is still running"
            raise RuntimeError(message)
        if greenlets:
            thread.join(PATIENCE)


def _run_hub(engine: Any) -> None:
    """Runs gevent's hub in this thread until the engine has stopped, whatever else the application has going on."""
    from gevent import get_hub  # noqa: PLC0415 - only where it is asked for

    engine.run()
    del engine  # gevent 26 never lets go of the frame that destroys a hub, and of what that holds
    get_hub().destroy(destroy_loop=True)
