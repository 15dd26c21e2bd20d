from typing import Final

from typing_extensions import disjoint_base

FREE: Final[int]
BOOTING: Final[int]
READY: Final[int]
DRAINING: Final[int]

@disjoint_base
class Scoreboard:
    size: int
    serving: bool
    def __init__(self, size: int) -> None: ...
    def slot(self, index: int) -> Slot: ...

@disjoint_base
class Slot:
    index: int
    state: int
    def claim(self, pid: int, generation: int) -> None: ...
    def release(self) -> None: ...
    @property
    def pid(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def handovers(self) -> int: ...
    @property
    def heartbeat(self) -> float: ...
