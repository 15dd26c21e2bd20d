"""What lives of the engine and should not, by the debug build's count (pronghorn.debug)."""

import gc

from pronghorn import debug
from tests.support.raw import wait_for

PATIENCE = 15.0
"""Seconds in which what a test has used may come to its end."""

_reported = dict.fromkeys(debug.living(), 0)
"""What an earlier test has left behind: it has failed for that, and no other one shall."""


def remains(before: dict[str, int]) -> dict[str, int]:
    """What lives now, when a test has been put away, and did not `before` it, when it was set up. Else nothing.

    A server that serves a whole module of tests keeps its threads, and their buffers; behind the last of these nothing
    is kept at all.
    """
    now = debug.living()
    before = before | {"buffers": now["buffers"]} if now["engines"] > _reported["engines"] else _reported
    found = {what: count - before[what] for what, count in now.items() if count > before[what]}
    if found:
        gc.collect()
    return found


def require_no_remains(before: dict[str, int]) -> None:
    """Fails once for what goes on living, if this is a debug build."""
    if not debug.ENABLED:
        return
    try:
        wait_for(lambda: not remains(before), "what has been counted to live no more", PATIENCE)
    except AssertionError:
        found = remains(before)
        for what, count in found.items():
            _reported[what] += count
        if "engines" in found:
            _reported["buffers"] = debug.living()["buffers"]  # which are its threads'
        message = f"there remains {found}, {PATIENCE} s after the test"
        raise AssertionError(message) from None
