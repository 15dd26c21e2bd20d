import logging
from collections.abc import Iterable
from socket import socket

from typing_extensions import disjoint_base

from pronghorn.apps.wsgi import WSGI
from pronghorn.engine.recorder import Recorder
from pronghorn.engine.scoreboard import Slot
from pronghorn.options import EngineOptions

@disjoint_base
class Engine:
    draining: bool
    wants_recycling: bool
    recycling_reason: str | None
    def __init__(
        self,
        handler: WSGI,
        listeners: Iterable[socket],
        options: EngineOptions,
        *,
        access: Recorder | None = None,
        slot: Slot | None = None,
        log: logging.Logger | None = None,
        recycle_after: int = 0,
    ) -> None: ...
    @property
    def state(self) -> str: ...
    @property
    def connections_open(self) -> int: ...
    @property
    def requests_answered(self) -> int: ...
    @property
    def handovers(self) -> int: ...
    @property
    def threads_started(self) -> int: ...
    def fileno(self) -> int: ...
    def acknowledge(self) -> None: ...
    def start(self) -> None: ...
    def drain(self) -> None: ...
    def stop(self) -> None: ...
    def join(self, timeout: float | None = None) -> bool: ...
