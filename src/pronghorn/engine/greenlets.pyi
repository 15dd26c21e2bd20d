from typing import final

from pronghorn.engine.loop import Engine

@final
class GreenletEngine(Engine):
    def run(self) -> None: ...
