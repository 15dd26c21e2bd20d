"""What the main thread of a worker waits with while greenlets run in it."""

import os
from typing import Any

from gevent.selectors import GeventSelector

from pronghorn.engine.greenlets import park


class Selector(GeventSelector):
    """gevent's selector, for the process that makes it.

    A child that the application forks has a copy of every greenlet, and so of the one that waits here: it would take
    the worker's signals, beat its heart and miss its arbiter.
    """

    def __init__(self) -> None:
        """Belongs to this process."""
        super().__init__()
        self._pid = os.getpid()

    def select(self, timeout: float | None = None) -> Any:
        """As `selectors.BaseSelector.select`; never comes back in a child."""
        found = super().select(timeout)
        if os.getpid() != self._pid:
            park()
        return found
