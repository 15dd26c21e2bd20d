from collections.abc import Callable, Iterable
from socket import socket
from types import TracebackType
from typing import Any, TextIO, final

from pronghorn.options import EngineOptions, TrustOptions

@final
class FileWrapper:
    filelike: Any
    block_size: int
    def __init__(self, filelike: Any, block_size: int = 65536) -> None: ...
    def __iter__(self) -> FileWrapper: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

@final
class WSGIExchange:
    def __call__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | None = None,
    ) -> Callable[[bytes], object]: ...
    def write(self, data: bytes) -> None: ...

@final
class WSGI:
    def __init__(
        self,
        app: Callable[..., Any],
        options: EngineOptions,
        listeners: Iterable[socket],
        *,
        trust: TrustOptions,
        errors: TextIO,
        multithread: bool,
        multiprocess: bool = False,
        mount: str = "",
        id_header: str = "X-Request-ID",
    ) -> None: ...
