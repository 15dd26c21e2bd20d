"""What a type checker finds in somebody's tests; `make types` reads this, nothing runs it.

mypy reports an `ignore` behind which nothing is wrong, so each of these lines is an error for users, too.
"""

from collections.abc import Callable, Iterable
from typing import Any, assert_type

from pronghorn.testing import serve


def right(app: Callable[..., Iterable[bytes]]) -> None:
    """Options of the engine, about proxies, and of `serve` itself."""
    with serve(app, threads=1, keepalive=5.0, forwarded_allow_ips=("*",), worker_class="gevent", host="::1") as url:
        assert_type(url, str)


def wrong(app: Any) -> None:
    """A name that is none, one of the fleet's, and a value of another type."""
    serve(app, thread=2)  # type: ignore[call-arg]
    serve(app, workers=2)  # type: ignore[call-arg]
    serve(app, threads="2")  # type: ignore[arg-type]
