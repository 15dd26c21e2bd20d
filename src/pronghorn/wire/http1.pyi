from typing import NamedTuple, Self, final

class ParsedHead(NamedTuple):
    method: bytes
    target: bytes
    authority: bytes
    path: bytes
    query: bytes
    path_escaped: bool
    form: int
    version: int
    fields: list[tuple[bytes, bytes]]
    host: bytes | None
    content_length: int | None
    chunked: bool
    flags: int
    end: int

@final
class HeadParser:
    def __new__(
        cls, *, request_line: int = ..., field_line: int = ..., fields: int = ..., section: int = ...
    ) -> Self: ...
    def feed(self, data: bytes) -> ParsedHead | None: ...

def parse(
    data: bytes, *, request_line: int = 8192, field_line: int = 8192, fields: int = 100, section: int = 65536
) -> ParsedHead | None: ...
def unescape(path: bytes) -> bytes: ...
