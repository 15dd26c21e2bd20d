from types import TracebackType
from typing import Self, final

@final
class Deadline:
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def set_timeout(seconds: float) -> Deadline: ...
