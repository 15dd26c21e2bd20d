"""Constants, functions and classes beside the settings."""

from dataclasses import dataclass

WORKERS = 2
TIMEOUT = 45


@dataclass
class Size:
    workers: int
    timeout: int


def size():
    return Size(WORKERS, TIMEOUT)


workers = size().workers
timeout = size().timeout
pidfile = "shop.pid"
proc_name = "shop"
