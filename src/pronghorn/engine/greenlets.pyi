from typing import Never, final

from pronghorn.engine.loop import Engine

def park() -> Never: ...

@final
class GreenletEngine(Engine):
    def run(self) -> None: ...
