from typing import final

from pronghorn.observe.access import AccessLog

@final
class RequestLines(AccessLog):
    def __init__(self, target: str) -> None: ...
    @property
    def coloured(self) -> bool: ...
