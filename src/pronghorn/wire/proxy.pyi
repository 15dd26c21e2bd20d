from typing import Literal, NamedTuple

KINDS: tuple[str, ...]

class ParsedIntroduction(NamedTuple):
    version: int
    kind: str
    source: tuple[str, int]
    destination: tuple[str, int]
    end: int

def parse(data: bytes) -> ParsedIntroduction | Literal[False] | None: ...
