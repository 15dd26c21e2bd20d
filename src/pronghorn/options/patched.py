"""Whether something has replaced Python's threads in this process (monkey patching), and whether that can be served."""

import _thread

from pronghorn.options.fleet import GEVENT


def patcher() -> str | None:
    """The package that has put green threads in the place of real ones, `gevent` or `eventlet`; None if none has."""
    package = _thread.start_new_thread.__module__.partition(".")[0]
    return None if package == _thread.__name__ else package


def objection(package: str | None, *, greenlets: bool) -> str | None:
    """What is wrong with threads that `package` has replaced, behind "it has gevent"; None if nothing is.

    A pool thread that is a greenlet would never run. `greenlets`: the workers need none, they have gevent's hub.
    """
    if package is None or (greenlets and package == GEVENT):
        return None
    remedy = "use --worker-class gevent, or " if package == GEVENT else ""
    return f"replace Python's threads (monkey patching), and the workers run on those; {remedy}take the patching out"
