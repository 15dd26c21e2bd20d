"""The parent process: binds the listeners, forks workers, watches them and decides."""

from pronghorn.arbiter.loop import run
from pronghorn.arbiter.preparation import Sources
from pronghorn.worker.hooks import Hooks

__all__ = ["Hooks", "Sources", "run"]
