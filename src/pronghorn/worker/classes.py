"""The worker classes: how a worker runs its requests, and what it does before the application is imported.

docs/worker-classes.md documents the two members of `WorkerClass` for classes of the user's own.
"""

import importlib.util
from typing import ClassVar, Protocol

from pronghorn.errors import AppLoadError
from pronghorn.options.fleet import GEVENT, WORKER_CLASSES
from pronghorn.worker import native


class WorkerClass(Protocol):
    """What a worker class has to have. It is made without arguments, once in each worker."""

    greenlets: ClassVar[bool]
    """Whether requests run in greenlets of the main thread, by gevent's hub, instead of in threads."""

    def prepare(self) -> None:
        """Called in the new worker before the application is imported; with `preload_app`, in the arbiter."""


class Threads:
    """Requests run in the threads of the pool: `threads`, `gthread` and `sync`."""

    greenlets: ClassVar[bool] = False

    def prepare(self) -> None:
        """Nothing has to be done."""


class Gevent:
    """Each request runs in a greenlet of its own, and the standard library waits cooperatively."""

    greenlets: ClassVar[bool] = True

    def prepare(self) -> None:
        """Patches the standard library for gevent."""
        import gevent.monkey  # noqa: PLC0415 - it is needed here only, and not always installed

        # With `preload_app` there may be a hub already, and it is the arbiter's.
        gevent.reinit()
        gevent.monkey.patch_all()


def find(name: str) -> WorkerClass:
    """The worker class that the setting `worker_class` names.

    Arguments:
        name: one of WORKER_CLASSES, or `module.Class` or `module:Class` with a class of the user's.

    Raises:
        AppLoadError: there is no such class, or it is no worker class of this server.
    """
    if name in WORKER_CLASSES:
        return Gevent() if name == GEVENT else Threads()
    module, _, attribute = name.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except AttributeError:
        raise AppLoadError(f"worker_class {name!r}: the module {module!r} has no {attribute!r}") from None
    except Exception as error:
        raise AppLoadError(f"worker_class {name!r}: importing {module!r} raised {_summary(error)}") from error
    if not isinstance(getattr(found, "greenlets", None), bool) or not callable(getattr(found, "prepare", None)):
        raise AppLoadError(
            f"worker_class {name!r}: it is no worker class of Pronghorn, which has `greenlets` (True or False) and a "
            "method `prepare` (docs/worker-classes.md); begin with pronghorn.worker.classes.Threads or Gevent"
        )
    made: WorkerClass = found()
    return made


def prepare(name: str) -> WorkerClass:
    """Finds the worker class and has it prepare this process for the application, which is imported next.

    Raises:
        AppLoadError: as `find`; or gevent is missing, or `prepare` raised.
    """
    native.repatch()
    found = find(name)
    if found.greenlets and importlib.util.find_spec("gevent") is None:
        raise AppLoadError(f"worker_class {name!r}: greenlets need gevent: pip install 'pronghorn[gevent]'")
    try:
        found.prepare()
    except Exception as error:
        raise AppLoadError(f"worker_class {name!r}: preparing the worker raised {_summary(error)}") from error
    return found


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
