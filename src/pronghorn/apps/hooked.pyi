from collections.abc import Callable
from typing import Any, final

from pronghorn.apps.handler import Handler

@final
class Hooked:
    requests_answered: int
    def __init__(
        self, inner: Handler, worker: object, before: Callable[..., Any] | None, after: Callable[..., Any] | None
    ) -> None: ...
