"""The standard library as it was before gevent patched it, for the arbiter.

A `gunicorn.conf.py` that begins with `gevent.monkey.patch_all()` patches the arbiter, and so does a hook that it calls,
or preloading for a worker class with greenlets. But the arbiter waits, forks and reaps by itself: gevent's `fork` would
have libev reap its children, its `signal` keep SIGCHLD from it, and `selectors` has lost what waits in the kernel.
"""

import importlib
import sys
from typing import Any

from pronghorn.linux import PATCHED

NEEDED = (
    ("os", "fork"),
    ("os", "waitpid"),
    ("signal", "signal"),
    ("signal", "getsignal"),
    ("select", "poll"),
    ("selectors", "DefaultSelector"),
    *PATCHED,
)
"""What the arbiter uses of what gevent replaces or removes."""

_MISSING = object()

_patched: list[tuple[Any, str, Any]] = []
"""Module, name and gevent's object, of what `unpatch` took out."""


def unpatch() -> None:
    """Gives this process what the arbiter needs; nothing happens if nothing was patched."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return
    for module_name, name in NEEDED:
        module = importlib.import_module(module_name)
        now, before = getattr(module, name, _MISSING), monkey.get_original(module_name, name)
        if now is not before:
            _patched.append((module, name, now))
            setattr(module, name, before)


def repatch() -> None:
    """Undoes `unpatch`: what is imported from here on is the application's."""
    for module, name, patched in reversed(_patched):
        if patched is _MISSING:
            delattr(module, name)
        else:
            setattr(module, name, patched)
    _patched.clear()
