from typing import Any, final

from pronghorn.engine.recorder import Recorder

@final
class LoggerRecorder(Recorder):
    def __init__(self, logger: Any) -> None: ...
