"""WSGI applications that tests serve."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]


@dataclass(frozen=True)
class Call:
    """What an application saw of one request."""

    method: str
    target: str
    body: bytes
    environ: Environ


class Recording:
    """Answers everything with `200 OK` and the target as the body; remembers every call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        call = Call(environ["REQUEST_METHOD"], environ["RAW_URI"], environ["wsgi.input"].read(), dict(environ))
        self.calls.append(call)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [call.target.encode("latin-1")]

    @property
    def targets(self) -> list[str]:
        """The targets of all calls so far."""
        return [call.target for call in self.calls]


class Body:
    """A response body that counts its `close()` calls."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        self.pieces = pieces
        self.given = 0
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces:
            self.given += 1
            yield piece

    def close(self) -> None:
        self.closed += 1


class Routes:
    """Passes each request to the application that stands under its path."""

    def __init__(self, **apps: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.apps = apps

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self.apps[environ["PATH_INFO"].lstrip("/") or "index"](environ, start_response)


def hello(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """The plainest answer, in one piece."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def content(size: int) -> bytes:
    """Bytes in which no piece can be lost, doubled or swapped unseen."""
    return b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


def echo(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """What was sent, or the path where nothing was."""
    start_response("200 OK", [])
    return [environ["wsgi.input"].read() or environ["PATH_INFO"].encode()]
