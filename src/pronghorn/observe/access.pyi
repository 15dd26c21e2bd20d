from typing_extensions import disjoint_base

from pronghorn.engine.recorder import Recorder
from pronghorn.observe.sink import Sink

@disjoint_base
class AccessLog(Recorder):
    def __init__(self, line_format: str, target: str) -> None: ...
    @property
    def sink(self) -> Sink: ...
    def record(
        self,
        remote: str | None,
        environ: dict[str, object] | None,
        status: str | None,
        headers: list[tuple[str, str]] | None,
        sent: int,
        began: float,
        duration_ns: int,
    ) -> int: ...
    def flush(self) -> None: ...
    def reopen(self) -> None: ...
