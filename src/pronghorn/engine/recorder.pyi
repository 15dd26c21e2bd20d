from collections.abc import Iterable
from typing import final

from typing_extensions import disjoint_base

@disjoint_base
class Recorder:
    @property
    def may_wait(self) -> bool: ...
    def flush(self) -> None: ...

@final
class Recorders(Recorder):
    def __init__(self, members: Iterable[Recorder]) -> None: ...
