"""What a vector is, and how the bytes of most of them are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Vector:
    """Bytes that a rule speaks of. `flaws` are the ids in rules.toml of flaws that they would have found.

    `trusted`: they come from a peer whose word about clients counts.
    """

    rule: int
    name: str
    data: bytes
    flaws: tuple[str, ...] = ()
    trusted: bool = False

    @property
    def id(self) -> str:
        """The name of its test."""
        words = re.sub(r"[^\w ]", lambda found: f"x{ord(found[0]):02x}", self.name, flags=re.ASCII).replace(" ", "_")
        return "-".join([f"rule_{self.rule}_{words}", *self.flaws])


@dataclass(frozen=True, kw_only=True)
class Refused(Vector):
    """A request that is answered with `status` and ends the connection.

    `choice` says that the RFC would let a server serve it, or leave it unanswered: our own strictness.
    """

    status: int = 400
    choice: bool = False


@dataclass(frozen=True, kw_only=True)
class Served(Vector):
    """A request that is served: what the application sees of it. None in `environ`: the key is not there.

    `lasts` says whether the connection goes on behind it, and `persists` whether that is said, as HTTP/1.0 needs it.
    `continues`: 100 comes first, unless some of the content comes with the head. `status` 204: the server itself
    answers, and the application sees nothing. `choice` as above: the RFC would let a server refuse it, or show the
    application something else.
    """

    method: str = "GET"
    target: str = "/x"
    body: bytes = b""
    environ: Mapping[str, str | None] = field(default_factory=dict)
    lasts: bool = True
    persists: bool = False
    continues: bool = False
    status: int = 200
    choice: bool = False

    @property
    def head_ends(self) -> range:
        """Where it can be cut so that the whole head stands before, and all of the content behind."""
        end = self.data.index(b"\r\n\r\n") + 4
        return range(end, self.data.index(self.body, end) + 1)


class Table:
    """The vectors of one file."""

    def __init__(self) -> None:
        self.refused: list[Refused] = []
        self.served: list[Served] = []

    def refuse(self, rule: int, name: str, data: bytes, *flaws: str, **more: Any) -> None:
        """Adds one that is refused; `more` are the fields of `Refused`."""
        self.refused.append(Refused(rule=rule, name=name, data=data, flaws=flaws, **more))

    def serve(self, rule: int, name: str, data: bytes, *flaws: str, **seen: Any) -> None:
        """Adds one that is served; `seen` are the fields of `Served`."""
        self.served.append(Served(rule=rule, name=name, data=data, flaws=flaws, **seen))


def text(octets: bytes) -> str:
    """Octets as a part of a name."""
    return octets.decode("latin-1")


HOST = b"Host: test\r\n"


def line(start: bytes) -> bytes:
    """A request with this request line."""
    return start + b"\r\n" + HOST + b"\r\n"


def get(*lines: bytes, host: bytes | None = b"test") -> bytes:
    """A GET with these field lines behind Host."""
    named = [b"Host: " + host] if host is not None else []
    return b"\r\n".join([b"GET /x HTTP/1.1", *named, *lines, b"", b""])


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """A POST with these field lines behind Host."""
    return b"\r\n".join([b"POST /x HTTP/" + version, b"Host: test", *lines, b"", b""]) + body


def chunked(body: bytes) -> bytes:
    """A POST with a chunked body of these bytes."""
    return post(b"Transfer-Encoding: chunked", body=body)
