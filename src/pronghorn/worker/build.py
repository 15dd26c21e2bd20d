"""Makes the engine of one worker from its settings."""

from collections.abc import Callable, Sequence
from socket import socket
from typing import Any

from pronghorn.engine.scoreboard import Slot
from pronghorn.options import Settings


def build_engine(app: Callable[..., Any], listeners: Sequence[socket], settings: Settings, row: Slot) -> Any:
    """The engine that serves `app` on `listeners`, not yet started."""
    from pronghorn.engine.loop import Engine  # noqa: PLC0415

    return Engine(app, list(listeners), settings.engine, multiprocess=True, access=None, slot=row, trust=settings.trust)
