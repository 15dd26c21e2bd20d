"""The parent process: binds the listeners, forks workers, watches them and decides."""

from pronghorn.arbiter.loop import run

__all__ = ["run"]
