from collections.abc import Mapping
from typing import NamedTuple

class ParsedPacket(NamedTuple):
    variables: list[tuple[bytes, bytes]]
    head: bytes
    end: int

def parse(data: bytes, *, limit: int = 65535, most: int = 228) -> ParsedPacket | None: ...
def render(variables: Mapping[str, str]) -> bytes: ...
