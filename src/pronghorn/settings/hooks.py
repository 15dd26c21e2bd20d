"""The hooks: functions of a Python file that the server calls at moments of its life, under the names of Gunicorn's.

Each is found, imported where it is named by a text, and held against what it will be called with, before the server
starts. docs/hooks.md has the table below.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from pronghorn.settings.given import Hook


class Process(Enum):
    """Where a hook is called."""

    ARBITER = "arbiter"
    WORKER = "worker"
    SUCCESSOR = "child of the arbiter"


class Point(Struct, frozen=True, kw_only=True):
    """One hook."""

    arguments: tuple[str, ...]
    process: Process
    moment: str
    raises: str = ""
    """What becomes of an exception."""
    never: str = ""
    """Why this version does not call it."""


ENDS_START = "the server does not start, status 3"
WORKER_ENDS = "the worker ends; the server with it, status 3, if none was ever ready"
LOGGED = "logged, nothing else"
DIRTY = "there are no dirty workers"
NO_TLS = "it makes the TLS context, and this version has no TLS"

HOOKS: dict[str, Point] = {
    "nworkers_changed": Point(
        arguments=("server", "new_value", "old_value"),
        process=Process.ARBITER,
        moment="at the start (`old_value` is `None`); when TTIN, TTOU or a reload changes how many workers are wanted",
        raises=f"at the start: {ENDS_START}; later: {LOGGED}",
    ),
    "on_starting": Point(
        arguments=("server",),
        process=Process.ARBITER,
        moment="at the start, before addresses are bound and, with `preload_app`, before the application is imported",
        raises=ENDS_START,
    ),
    "when_ready": Point(
        arguments=("server",),
        process=Process.ARBITER,
        moment="at the start, when connections can wait in the listeners, and before the first worker is forked",
        raises=ENDS_START,
    ),
    "pre_fork": Point(
        arguments=("server", "worker"),
        process=Process.ARBITER,
        moment="before a worker is forked",
        raises=f"no worker is forked: at the start {ENDS_START}; in a reload, the reload fails; else tried again later",
    ),
    "post_fork": Point(
        arguments=("server", "worker"),
        process=Process.WORKER,
        moment="after the fork; before the worker becomes `user` and, without `preload_app`, imports the application",
        raises=WORKER_ENDS,
    ),
    "post_worker_init": Point(
        arguments=("worker",),
        process=Process.WORKER,
        moment="when the application is imported, before the worker accepts",
        raises=WORKER_ENDS,
    ),
    "pre_request": Point(
        arguments=("worker", "req"),
        process=Process.WORKER,
        moment="before the application is called, on the thread that calls it",
        raises="logged; the request is answered 500 and not handed to the application",
    ),
    "post_request": Point(
        arguments=("worker", "req", "environ", "resp"),
        process=Process.WORKER,
        moment="when the response has been sent, also one to a failure, on the same thread",
        raises=LOGGED,
    ),
    "worker_int": Point(
        arguments=("worker",),
        process=Process.WORKER,
        moment="on INT or QUIT, before the requests that run are cut off; with `reload`, when the worker begins to "
        "leave after it has seen a file change",
        raises="logged; the worker stops all the same",
    ),
    "worker_abort": Point(
        arguments=("worker",),
        process=Process.WORKER,
        moment="on ABRT, after the stacks of all threads were written",
        raises="logged; the worker dies all the same",
    ),
    "worker_exit": Point(
        arguments=("server", "worker"),
        process=Process.WORKER,
        moment="when a worker that has come as far as `post_fork` leaves, before its exit functions (`atexit`)",
        raises=LOGGED,
    ),
    "child_exit": Point(
        arguments=("server", "worker"),
        process=Process.ARBITER,
        moment="when a worker is gone, however it ended",
        raises=LOGGED,
    ),
    "on_reload": Point(
        arguments=("server",),
        process=Process.ARBITER,
        moment="on HUP, when the new settings are read and the addresses are bound, before the new workers are forked",
        raises="the reload fails: all stays as it was",
    ),
    "pre_exec": Point(
        arguments=("server",),
        process=Process.SUCCESSOR,
        moment="on USR2, in the process that becomes the new arbiter, just before it does",
        raises="the upgrade fails: all stays as it was",
    ),
    "on_exit": Point(
        arguments=("server",),
        process=Process.ARBITER,
        moment="when the last worker is gone, as the last thing",
        raises=LOGGED,
    ),
    "ssl_context": Point(
        arguments=("config", "default_ssl_context_factory"), process=Process.WORKER, moment="", never=NO_TLS
    ),
    "on_dirty_starting": Point(arguments=("arbiter",), process=Process.ARBITER, moment="", never=DIRTY),
    "dirty_post_fork": Point(arguments=("arbiter", "worker"), process=Process.WORKER, moment="", never=DIRTY),
    "dirty_worker_init": Point(arguments=("worker",), process=Process.WORKER, moment="", never=DIRTY),
    "dirty_worker_exit": Point(arguments=("arbiter", "worker"), process=Process.WORKER, moment="", never=DIRTY),
}
"""Each hook of Gunicorn's, in the order of a server's life."""

FEWEST = {"post_request": 2}
"""Arguments with which a hook of older versions of Gunicorn's still works; it gets the first ones."""


def settle(found: Iterable[Hook]) -> tuple[tuple[Hook, ...], list[str], list[str]]:
    """The hooks as they will be called, what is wrong with them, and warnings.

    Arguments:
        found: the hooks of all sources, the winning one last; their functions may be texts.
    """
    usable, problems, warnings = [], [], []
    for hook in {hook.name: hook for hook in found}.values():
        point = HOOKS[hook.name]
        try:
            function = _fitted(hook.name, point, _imported(hook))
        except (TypeError, ValueError) as error:
            problems.append(f"{hook.origin}: {hook.name}: {error}")
            continue
        if point.never:
            warnings.append(f"{hook.origin}: {hook.name} is never called: {point.never}")
        else:
            usable.append(msgspec.structs.replace(hook, function=function))
    return tuple(usable), problems, warnings


def _imported(hook: Hook) -> object:
    """The function itself, where its place is named: `shop.hooks.post_fork`."""
    if not isinstance(hook.function, str):
        return hook.function
    place = hook.function
    module, _, name = place.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    # What is imported is somebody's program and may raise anything; an empty name is a ValueError as well.
    except (Exception, SystemExit) as error:
        raise ValueError(f"{place!r} cannot be imported: {type(error).__name__}: {error}") from error


def _fitted(name: str, point: Point, function: object) -> Callable[..., Any]:
    """The function, made to take all arguments. TypeError or ValueError if it cannot be called with them."""
    call = f"{name}({', '.join(point.arguments)})"
    if not callable(function):
        raise TypeError(f"{function!r} is no function; it is called as {call}")
    if inspect.iscoroutinefunction(function):
        raise ValueError(f"it is an async function, and nobody would await it; it is called as {call}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some functions in C do not tell.
        return function
    most = len(point.arguments)
    for count in range(most, FEWEST.get(name, most) - 1, -1):
        if _takes(signature, count):
            return function if count == most else _shortened(function, count)
    raise ValueError(f"it takes {signature}, and is called as {call}")


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _shortened(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    return lambda *arguments: function(*arguments[:count])
